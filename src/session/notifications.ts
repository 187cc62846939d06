/**
 * Notifications towards a login with quotas. A payload may be anybody's data, sent by a trigger or an accomplice: it costs what it
 * could carry, and goes without it when nothing is left.
 */

import { writeNotification, type Notification } from '../protocol/backend-messages.ts';
import { decide } from '../policy/decide.ts';
import { opaqueReach } from './reach-union.ts';
import { Run } from './run.ts';
import type { SessionState } from './session-state.ts';

export type NotificationAnswer =
  | { readonly kind: 'forward' }
  | { readonly kind: 'replace'; readonly bytes: Buffer }
  /** Ask again when it resolves. */
  | { readonly kind: 'wait'; readonly until: Promise<void> };

const FORWARD: NotificationAnswer = { kind: 'forward' };

export class NotificationMeter {
  readonly #session: SessionState;
  /** The units of the notification that is being looked at. */
  #run: Run | undefined;

  constructor(session: SessionState) {
    this.#session = session;
  }

  judge({ processId, channel, payloadBytes }: Notification, nowMs: number): NotificationAnswer {
    const { principal } = this.#session;
    if (!principal.metered || payloadBytes === 0 || principal.classes.size === 0) return FORWARD;
    const run = (this.#run ??= this.#begin());
    if (!run.cut && !run.spendNotice(payloadBytes, nowMs)) return { kind: 'wait', until: this.#renew(run) };
    this.#run = undefined;
    run.finish(undefined);
    return run.cut ? { kind: 'replace', bytes: writeNotification(processId, channel, '') } : FORWARD;
  }

  #begin(): Run {
    const { principal } = this.#session;
    const reach = opaqueReach([...principal.classes.keys()], 'a notification may carry anything', false);
    const verdict = decide(reach, principal);
    const run = new Run(this.#session, { kind: 'opaque', reason: 'notification', text: '' }, reach, verdict);
    if (verdict.kind === 'block') run.refusal = verdict.refusal;
    return run;
  }

  async #renew(run: Run): Promise<void> {
    const refusal = await run.renew();
    if (refusal !== undefined) run.refusal = refusal;
  }
}
