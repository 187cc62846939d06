/**
 * ParameterStatus. Most settings that it tells of have a few values only; these take any text, and code that cannot be read may have made it of values. Once
 * such code ran, a value that the client was not told before costs its bytes, and is kept back when nothing is left.
 */

import { LooseTextMeter, type LooseTextAnswer } from './loose-text.ts';
import type { SessionState } from './session-state.ts';

/** TimeZone takes POSIX zones of any name. search_path is told since PostgreSQL 18. */
const FREE_TEXT: ReadonlySet<string> = new Set(['application_name', 'search_path', 'TimeZone']);
const MOST_REMEMBERED = 1_000;
const TOLD: LooseTextAnswer = { kind: 'paid' };

export class ToldSettings {
  readonly #session: SessionState;
  readonly #meter: LooseTextMeter;
  readonly #told = new Set<string>();

  constructor(session: SessionState) {
    this.#session = session;
    this.#meter = new LooseTextMeter(session, 'a setting may hold anything');
  }

  judge(name: string, value: string, nowMs: number): LooseTextAnswer {
    if (!FREE_TEXT.has(name) || !this.#session.principal.metered) return TOLD;
    const key = `${name}=${value}`;
    const answer = this.#session.tainted && !this.#told.has(key) ? this.#meter.judge(Buffer.byteLength(value), nowMs) : TOLD;
    if (answer.kind === 'paid' && this.#told.size < MOST_REMEMBERED) this.#told.add(key);
    return answer;
  }
}
