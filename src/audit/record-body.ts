/** An event as the body of a line: JSON without the opening brace, to which the sealer adds version, number and MAC. */

import type { AuditEvent } from './events.ts';
import { boundEvent, type AuditLimits } from './redact.ts';

export class RecordWriter {
  readonly #limits: AuditLimits;
  readonly #now: () => number;
  readonly #writer: string;
  #timeMs = Number.NaN;
  #time = '';

  /** `writer` tells apart the processes of one installation; undefined leaves the key out. */
  constructor(limits: AuditLimits, now: () => number, writer: string | undefined) {
    this.#limits = limits;
    this.#now = now;
    this.#writer = writer === undefined ? '' : `"writer":${JSON.stringify(writer)},`;
  }

  body(event: AuditEvent): string {
    return `${this.#opening()}${JSON.stringify(boundEvent(event, this.#limits)).slice(1)}`;
  }

  /** `members`: of `part`, with commas between. */
  bodyOf(event: AuditEvent['event'], members: string): string {
    return `${this.#opening()}"event":"${event}",${members}}`;
  }

  /** Members of a record without the braces around them. */
  part(members: object): string {
    return JSON.stringify(boundEvent(members, this.#limits)).slice(1, -1);
  }

  #opening(): string {
    const nowMs = this.#now();
    if (nowMs !== this.#timeMs) {
      this.#timeMs = nowMs;
      this.#time = `"time":"${new Date(nowMs).toISOString()}",${this.#writer}`;
    }
    return this.#time;
  }
}
