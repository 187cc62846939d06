/** Which label values may stand in a series. */

import type { AlertKind } from '../audit/alerts/alert.ts';
import type { AuditDecision } from '../audit/events.ts';
import type { StatementKind } from '../sql/facts.ts';
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

/** A record, not a list: the compiler says when a kind is missing. */
const kinds: Readonly<Record<StatementKind | 'unparsed' | 'fastpath', true>> = {
  select: true, insert: true, update: true, delete: true, merge: true, values: true,
  create_table_as: true, select_into: true, create_view: true, create_matview: true, refresh_matview: true,
  copy_to: true, copy_from: true,
  declare_cursor: true, fetch: true, move: true, close_cursor: true,
  prepare: true, execute: true, deallocate: true, discard: true,
  explain: true, do: true, call: true,
  set: true, reset: true, show: true,
  begin: true, commit: true, rollback: true, savepoint: true, release: true, rollback_to: true,
  prepare_transaction: true, commit_prepared: true, rollback_prepared: true,
  listen: true, unlisten: true, notify: true, lock: true, truncate: true, vacuum: true, analyze: true,
  ddl: true, code: true, other: true,
  unparsed: true, fastpath: true,
};

const events: Readonly<Record<AlertKind, true>> = {
  blocked: true, terminated: true, flagged: true, lookups: true, near_limit: true, opaque: true, login_failed: true, grant: true, store: true, audit: true, config: true,
};

export class BoundedLabels {
  readonly #allowed: ReadonlyMap<LabelName, Set<string>> = new Map([
    ['decision', new Set(Object.keys(decisions))],
    ['kind', new Set(Object.keys(kinds))],
    ['event', new Set(Object.keys(events))],
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
