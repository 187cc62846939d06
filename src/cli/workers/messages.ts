/** What the primary process and its workers say to each other. */

import type { AuditHeadView, GrantAnswer, GrantOrder, GrantView, ReadinessResult, ReloadResult, SessionView, UsageView } from '../../admin/providers.ts';
import type { LoginOutcome } from '../../auth/login-delay.ts';
import type { StoreAnswer, StoreCall } from '../../quota/remote-store.ts';

export type GrantQuestion =
  | { readonly kind: 'order'; readonly order: GrantOrder; readonly by: string }
  | { readonly kind: 'approve'; readonly id: string; readonly order: GrantOrder; readonly by: string }
  | { readonly kind: 'revoke'; readonly id: string; readonly by: string };

export interface WorkerQuestions {
  readonly metrics: { readonly argument: undefined; readonly answer: readonly object[] };
  readonly sessions: { readonly argument: undefined; readonly answer: readonly SessionView[] };
  readonly endSession: { readonly argument: string; readonly answer: boolean };
  readonly forgetBooks: { readonly argument: string; readonly answer: undefined };
  readonly usage: { readonly argument: string | undefined; readonly answer: readonly UsageView[] };
  readonly grants: { readonly argument: undefined; readonly answer: readonly GrantView[] };
  readonly grant: { readonly argument: GrantQuestion; readonly answer: GrantAnswer };
  readonly auditHeads: { readonly argument: undefined; readonly answer: readonly AuditHeadView[] };
  /** With the text of the configuration: all workers take the same. */
  readonly reload: { readonly argument: string; readonly answer: ReloadResult };
  readonly ready: { readonly argument: 'upstream' | 'store' | 'audit' | 'catalog'; readonly answer: ReadinessResult };
}
export type Question = keyof WorkerQuestions;

/** What a worker tells the others. */
export type WorkerNews =
  /** It has so many sessions of this login now. */
  | { readonly kind: 'sessions'; readonly principal: string; readonly count: number }
  | { readonly kind: 'login'; readonly outcome: LoginOutcome };

export type ToWorker =
  /** The configuration that Rowgate was started with: a worker that comes later serves the same port with the same counters as the others. */
  | { readonly kind: 'begin'; readonly text: string }
  | { readonly kind: 'ask'; readonly id: number; readonly question: Question; readonly argument: unknown }
  | { readonly kind: 'stop'; readonly reason: string }
  | { readonly kind: 'hurry' }
  | { readonly kind: 'store'; readonly answers: readonly StoreAnswer[] }
  | { readonly kind: 'news'; readonly worker: number; readonly news: readonly WorkerNews[] }
  /** This worker ended. */
  | { readonly kind: 'gone'; readonly worker: number };

export type FromWorker =
  /** It listens to the primary now; what was sent before is lost. */
  | { readonly kind: 'hello' }
  | { readonly kind: 'answer'; readonly id: number; readonly ok: true; readonly value: unknown }
  | { readonly kind: 'answer'; readonly id: number; readonly ok: false; readonly message: string }
  | { readonly kind: 'listening'; readonly port: number }
  | { readonly kind: 'store'; readonly calls: readonly StoreCall[] }
  | { readonly kind: 'news'; readonly news: readonly WorkerNews[] };

/** Says in a worker's environment which one it is. */
export const WORKER_VARIABLE = 'ROWGATE_WORKER';
/** And how many there are. */
export const WORKERS_VARIABLE = 'ROWGATE_WORKERS';
