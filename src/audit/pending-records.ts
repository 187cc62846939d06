/** Records that wait to be written, in the order in which they came. */

import type { AuditUnavailableError } from './audit-options.ts';

/** Told once: undefined when the operating system has taken the record. */
export type Written = (error: AuditUnavailableError | undefined) => void;

export interface Pending {
  readonly body: string;
  readonly done: Written;
}

export class PendingRecords {
  #records: Pending[] = [];
  /** Of all bodies. */
  #chars = 0;

  get length(): number {
    return this.#records.length;
  }

  get chars(): number {
    return this.#chars;
  }

  push(pending: Pending): void {
    this.#records.push(pending);
    this.#chars += pending.body.length;
  }

  /** Of the records that the next write takes: one, and more up to `maxChars`. */
  bodies(maxChars: number): readonly string[] {
    const bodies: string[] = [];
    let chars = 0;
    for (const { body } of this.#records) {
      if (bodies.length > 0 && chars + body.length > maxChars) break;
      chars += body.length;
      bodies.push(body);
    }
    return bodies;
  }

  /** The first `count` wait no longer. */
  take(count: number): readonly Pending[] {
    const whole = count === this.#records.length;
    const taken = whole ? this.#records : this.#records.splice(0, count);
    if (whole) this.#records = [];
    for (const { body } of taken) this.#chars -= body.length;
    return taken;
  }
}
