/** An explanation as lines for a terminal. */

import type { CounterState } from '../../quota/store.ts';
import type { CompiledQuota, PrincipalPolicy } from '../../policy/types.ts';
import { durationInWords } from '../../policy/units.ts';
import type { Explanation } from './explanation.ts';

export interface QuotaState {
  readonly quota: CompiledQuota;
  /** Undefined for a quota on one statement, and where the store does not answer. */
  readonly state: CounterState | undefined;
}

export function explanationText(explanation: Explanation, principal: PrincipalPolicy, quotas: readonly QuotaState[]): string {
  const { relations, functions, opaque, classes, categories, verdict } = explanation;
  const lines = [`statement   ${explanation.kind}`, `login       ${principal.principal}, ${principal.roles.length === 0 ? 'in no role' : `role ${principal.roles.join(', ')}`}`];
  const section = (name: string, of: readonly string[]): void => {
    for (const [index, text] of of.entries()) lines.push(`${(index === 0 ? name : '').padEnd(11)} ${text}`);
  };
  section('relations', relations.map((each) => `${each.name} (${each.mode})${each.means.length === 0 ? ': not in the catalog' : `: ${each.means.join(', ')}`}${each.leadsTo.length === 0 ? '' : `  => ${each.leadsTo.join('; ')}`}`));
  section('functions', functions.map((each) => `${each.name}: ${each.verdict} (${each.why})`));
  section('opaque', opaque);
  section('categories', categories.length === 0 ? [] : [categories.join(', ')]);
  section('classes', classes.length === 0 ? ['none: costs nothing'] : classes.map((each) => {
    const how = each.packs ? 'a row costs by its bytes, since it may pack many rows into one value' : `a row costs at least ${each.width} ${each.width === 1 ? 'unit' : 'units'}`;
    return `${each.className}: ${how}${each.relations.length === 0 ? '' : ` (${each.relations.join(', ')})`}`;
  }));
  section('quotas', quotas.map(quotaLine));
  switch (verdict.kind) {
    case 'allow':
      section('decision', classes.length === 0 ? ['allow: touches nothing protected'] : withinQuotas(explanation, principal, quotas));
      break;
    case 'flag':
      section('decision', [`flag by rule ${verdict.ruleId}`, verdict.reason]);
      break;
    case 'block':
      section('decision', [`block by rule ${verdict.refusal.ruleId} (SQLSTATE ${verdict.refusal.sqlstate})`, verdict.refusal.message, ...(verdict.refusal.detail === undefined ? [] : [verdict.refusal.detail])]);
      break;
  }
  return lines.join('\n');
}

/** A statement that policy allows still needs units for its first row. Whether people are new, nobody can tell beforehand. */
function withinQuotas({ classes }: Explanation, principal: PrincipalPolicy, quotas: readonly QuotaState[]): readonly string[] {
  let rows = Infinity;
  for (const { quota, state } of quotas) {
    if (quota.action === 'flag' || quota.dimension === 'subjects') continue;
    const left = quota.limit - (state?.used ?? 0);
    const reach = classes.find((each) => each.className === quota.className);
    const width = quota.dimension === 'rows' ? Math.max(1, reach?.width ?? 1) : 1;
    if (left < width) {
      const next = state?.nextFreeInMs === undefined ? '' : `; the next units come free in ${durationInWords(state.nextFreeInMs)}`;
      return principal.mode === 'monitor' ? [`flag by rule ${quota.ruleId}: its limit is used up`] : [`block by rule ${quota.ruleId} (SQLSTATE 53400): its limit is used up${next}`];
    }
    if (quota.dimension === 'rows' && reach?.packs === false) rows = Math.min(rows, Math.floor(left / width));
  }
  return [`allow, within the quotas${Number.isFinite(rows) ? `: ${rows} ${rows === 1 ? 'row' : 'rows'} at most` : ''}`];
}

function quotaLine({ quota, state }: QuotaState): string {
  const limit = `${quota.ruleId}: ${quota.limit} ${quota.dimension} (${quota.action})`;
  if (quota.window === 'statement') return limit;
  if (state === undefined) return `${limit}, use not known`;
  const left = Math.max(0, quota.limit - state.used);
  const next = state.nextFreeInMs === undefined ? '' : `, next free in ${durationInWords(state.nextFreeInMs)}`;
  return `${limit}, ${state.used} used, ${left} left${next}`;
}
