/** Text from the server that belongs to no statement, or to one that nobody knows: it may be anybody's data, and is paid for by its bytes like a packed row. */

import { NO_TRACES } from '../catalog/bookkeeping.ts';
import { decide } from '../policy/decide.ts';
import type { Refusal } from '../policy/types.ts';
import { opaqueReach } from './reach-union.ts';
import { Run } from './run.ts';
import type { SessionState } from './session-state.ts';

export type LooseTextAnswer =
  | { readonly kind: 'paid' }
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  /** Ask again when it resolves. */
  | { readonly kind: 'wait'; readonly until: Promise<void> };

export const PAID: LooseTextAnswer = { kind: 'paid' };

export class LooseTextMeter {
  readonly #session: SessionState;
  readonly #reason: string;
  /** The units of the message that is being looked at. */
  #run: Run | undefined;

  constructor(session: SessionState, reason: string) {
    this.#session = session;
    this.#reason = reason;
  }

  judge(bytes: number, nowMs: number): LooseTextAnswer {
    const { principal } = this.#session;
    if (!principal.metered || bytes === 0 || principal.classes.size === 0) return PAID;
    const run = (this.#run ??= this.#begin());
    if (!run.cut && !run.spendNotice(bytes, nowMs)) return { kind: 'wait', until: this.#renew(run) };
    this.#run = undefined;
    run.finish(undefined);
    return run.refusal === undefined ? PAID : { kind: 'refused', refusal: run.refusal };
  }

  #begin(): Run {
    const { principal } = this.#session;
    const reach = opaqueReach([...principal.classes.keys()], this.#reason, false, NO_TRACES);
    const verdict = decide(reach, principal);
    const run = new Run(this.#session, { kind: 'opaque', reason: this.#reason, text: '' }, reach, verdict);
    if (verdict.kind === 'block') run.refusal = verdict.refusal;
    return run;
  }

  async #renew(run: Run): Promise<void> {
    const refusal = await run.renew();
    if (refusal !== undefined) run.refusal = refusal;
  }
}
