/**
 * Series that count in plain numbers and are read only when somebody scrapes. prom-client finds a series by hashing its labels at each call (0.3 µs
 * for a histogram without labels); here whoever counts holds the series itself.
 */

/** One counter with its labels. Hold it and add to `value`. */
export class CounterCell {
  value = 0;
  readonly labels: Readonly<Record<string, string>>;

  constructor(labels: Readonly<Record<string, string>>) {
    this.labels = labels;
  }
}

/** Cells of one metric, found by their label values. */
export class CounterFamily {
  readonly #cells = new Map<string, CounterCell>();

  cell(labels: Readonly<Record<string, string>>): CounterCell {
    const key = JSON.stringify(Object.values(labels));
    let cell = this.#cells.get(key);
    if (cell === undefined) {
      cell = new CounterCell(labels);
      this.#cells.set(key, cell);
    }
    return cell;
  }

  cells(): Iterable<CounterCell> {
    return this.#cells.values();
  }
}

/** What one role took of one class. A session holds a reference and adds to it, row by row. */
export class RoleClassCounters {
  rows = 0;
  units = 0;
  bytes = 0;
  readonly role: string;
  readonly className: string;

  constructor(role: string, className: string) {
    this.role = role;
    this.className = className;
  }
}

export class PlainHistogram {
  readonly bounds: readonly number[];
  sum = 0;
  count = 0;
  readonly #counts: number[];

  /** `bounds` ascending; the last bucket, +Inf, comes by itself. */
  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.#counts = Array.from({ length: bounds.length }, () => 0);
  }

  observe(value: number): void {
    this.sum += value;
    this.count += 1;
    for (let i = 0; i < this.bounds.length; i += 1) {
      if (value <= (this.bounds[i] as number)) {
        this.#counts[i] = (this.#counts[i] as number) + 1;
        return;
      }
    }
  }

  /** Observations up to each bound, cumulative as Prometheus wants them. */
  cumulative(): readonly number[] {
    let total = 0;
    return this.#counts.map((count) => (total += count));
  }
}
