/** What really arrived at clients, row by row with its time: the only witness that the run believes. */

export interface Arrivals {
  /** Monotonic milliseconds, ascending. */
  readonly atMs: readonly number[];
  /** Whom each row is about. */
  readonly people: readonly number[];
}

export class Observer {
  readonly #arrivals = new Map<string, { atMs: number[]; people: number[]; ports: number[] }>();

  /** A row about a person reached a client of this principal. */
  row(principal: string, person: number, port: number, nowMs: number): void {
    let known = this.#arrivals.get(principal);
    if (known === undefined) this.#arrivals.set(principal, (known = { atMs: [], people: [], ports: [] }));
    known.atMs.push(nowMs);
    known.people.push(person);
    known.ports.push(port);
  }

  of(principals: readonly string[]): Arrivals {
    const rows = principals.flatMap((principal) => {
      const { atMs, people } = this.#arrivals.get(principal) ?? { atMs: [], people: [] };
      return atMs.map((at, i) => ({ at, person: people[i] as number }));
    });
    rows.sort((a, b) => a.at - b.at);
    return { atMs: rows.map(({ at }) => at), people: rows.map(({ person }) => person) };
  }

  /** Where and when they came, for whoever looks for the cause of too many: rows a second by the port that they came through. */
  history(principal: string, sinceMs: number): string {
    const { atMs, ports } = this.#arrivals.get(principal) ?? { atMs: [], ports: [] };
    const counts = new Map<string, number>();
    for (const [i, at] of atMs.entries()) {
      const key = `${Math.floor((at - sinceMs) / 1000)} s via ${ports[i]}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    return [...counts].map(([key, rows]) => `${key}: ${rows}`).join(', ');
  }

  count(principal: string): number {
    return this.#arrivals.get(principal)?.atMs.length ?? 0;
  }
}

/** Most rows in any interval of this length, both ends included. */
export function mostRows({ atMs }: Arrivals, windowMs: number): number {
  let most = 0;
  let from = 0;
  for (const [to, at] of atMs.entries()) {
    while (at - (atMs[from] as number) > windowMs) from += 1;
    most = Math.max(most, to - from + 1);
  }
  return most;
}

/** Most people in any interval of this length. */
export function mostPeople({ atMs, people }: Arrivals, windowMs: number): number {
  const inside = new Map<number, number>();
  let most = 0;
  let from = 0;
  for (const [to, at] of atMs.entries()) {
    const person = people[to] as number;
    inside.set(person, (inside.get(person) ?? 0) + 1);
    while (at - (atMs[from] as number) > windowMs) {
      const gone = people[from] as number;
      const left = (inside.get(gone) ?? 1) - 1;
      if (left === 0) inside.delete(gone);
      else inside.set(gone, left);
      from += 1;
    }
    most = Math.max(most, inside.size);
  }
  return most;
}
