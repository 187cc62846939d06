/** Which label values may stand in a series. */

import type { AlertKind } from '../audit/alerts/alert.ts';
import type { AuditDecision } from '../audit/events.ts';
import { RECORDED_KINDS } from '../audit/recorded-kinds.ts';
import type { LabelName } from './metric-table.ts';

export const otherLabel = 'other';

/** What the configuration names, given at each load of it. */
export interface ConfiguredLabels {
  readonly roles: Iterable<string>;
  readonly classes: Iterable<string>;
  /** Of quotas and of every other rule that can refuse or flag. */
  readonly rules: Iterable<string>;
}

const decisions: Readonly<Record<AuditDecision, true>> = { allow: true, flag: true, block: true, terminate: true };

const events: Readonly<Record<AlertKind, true>> = {
  blocked: true, terminated: true, flagged: true, lookups: true, near_limit: true, opaque: true, login_failed: true, grant: true, store: true, audit: true, config: true,
};

/** What logins fail with: PostgreSQL's for credentials, databases, places, being away; ours for the policy. */
const loginStates = ['28000', '28P01', '3D000', '42501', '53300', '57014', '57P01', '57P03', '08P01', 'XX000'];

export class BoundedLabels {
  readonly #allowed: ReadonlyMap<LabelName, Set<string>> = new Map([
    ['decision', new Set(Object.keys(decisions))],
    ['kind', new Set<string>(RECORDED_KINDS)],
    ['event', new Set(Object.keys(events))],
    ['sqlstate', new Set(loginStates)],
    ['role', new Set(['unlisted'])],
    ['class', new Set<string>()],
    ['rule', new Set<string>()],
  ]);

  /** Adds; what an earlier configuration named stays, so that a counter never goes away while someone takes its rate. */
  allow(labels: ConfiguredLabels): void {
    for (const role of labels.roles) this.#allowed.get('role')?.add(role);
    for (const name of labels.classes) this.#allowed.get('class')?.add(name);
    for (const rule of labels.rules) this.#allowed.get('rule')?.add(rule);
  }

  bound(label: string, value: string): string {
    return this.#allowed.get(label as LabelName)?.has(value) === true ? value : otherLabel;
  }
}
