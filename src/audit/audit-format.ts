/** An event as a line of JSON. pino does the formatting; its destination here only catches the line. */

import { pino } from 'pino';
import type { AuditEvent } from './events.ts';
import { boundEvent, escapeJsonLine, type AuditLimits } from './redact.ts';

export class AuditFormatter {
  readonly #limits: AuditLimits;
  readonly #logger: (event: AuditEvent) => void;
  #line = '';
  #seq = 0;

  constructor(limits: AuditLimits, now: () => number) {
    this.#limits = limits;
    const logger = pino(
      {
        base: null,
        level: 'info',
        // pino begins each line with its level; the log has none, and a reader wants to know the format's version first.
        formatters: { level: () => ({ v: 1 }) },
        timestamp: () => `,"time":"${new Date(now()).toISOString()}","seq":${this.#seq}`,
      },
      { write: (line: string) => { this.#line = line; } },
    );
    this.#logger = (event) => { logger.info(event); };
  }

  /** Ends in a newline; holds no other. */
  format(event: AuditEvent): string {
    this.#seq += 1;
    this.#logger(boundEvent(event, this.#limits));
    return escapeJsonLine(this.#line);
  }
}
