/**
 * Notifications towards a login with quotas. A payload may be anybody's data, sent by a trigger or an accomplice: it costs what it
 * could carry, and goes without it when nothing is left.
 */

import { writeNotification, type Notification } from '../protocol/backend-messages.ts';
import { LooseTextMeter } from './loose-text.ts';
import type { SessionState } from './session-state.ts';

export type NotificationAnswer =
  | { readonly kind: 'forward' }
  | { readonly kind: 'replace'; readonly bytes: Buffer }
  /** Ask again when it resolves. */
  | { readonly kind: 'wait'; readonly until: Promise<void> };

const FORWARD: NotificationAnswer = { kind: 'forward' };

export class NotificationMeter {
  readonly #meter: LooseTextMeter;

  constructor(session: SessionState) {
    this.#meter = new LooseTextMeter(session, 'a notification may carry anything');
  }

  judge({ processId, channel, payloadBytes }: Notification, nowMs: number): NotificationAnswer {
    const answer = this.#meter.judge(payloadBytes, nowMs);
    switch (answer.kind) {
      case 'paid':
        return FORWARD;
      case 'refused':
        return { kind: 'replace', bytes: writeNotification(processId, channel, '') };
      case 'wait':
        return answer;
    }
  }
}
