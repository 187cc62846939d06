/** What is legal in a configuration and most likely not meant. Pure. */

import type { Config, QuotaConfig, RoleConfig } from './config.ts';
import type { ConfigPath, Finding } from './config-path.ts';
import { formatDuration } from './units.ts';

type Dimension = 'rows' | 'subjects' | 'bytes';
const DIMENSIONS: readonly Dimension[] = ['rows', 'subjects', 'bytes'];

export function suspicions(config: Config): readonly Finding[] {
  return [
    ...config.roles.flatMap((role) => [...roleFindings(role), ...coveredQuotas(role), ...forgottenWindows(role, config.audit.rotation.keepMs)]),
    ...shadowedLogins(config.roles),
    ...wholePolicy(config),
  ];
}

function finding(path: ConfigPath, message: string, hint?: string, at: Finding['at'] = 'key'): Finding {
  return { path, at, message, hint };
}

function roleFindings(role: RoleConfig): readonly Finding[] {
  const path = ['roles', role.name];
  const found: Finding[] = [];
  if (role.quotas.length === 0) found.push(finding([...path, 'quotas'], `role "${role.name}" has no quota: its members are counted and never stopped`));
  else if (role.quotas.every((quota) => quota.action === 'flag')) found.push(finding([...path, 'quotas'], `every quota of role "${role.name}" only flags: its members are never stopped`));
  else if (role.quotas.every((quota) => quota.window === 'statement')) found.push(finding([...path, 'quotas'], `role "${role.name}" is limited a statement at a time only: any number of statements takes everything`, 'add a quota with a window such as 24h'));
  if (role.quotas.length > 0 && role.deny?.length === 0) found.push(finding([...path, 'deny'], `role "${role.name}" is denied nothing: code and copies are then bounded by the quotas alone`, 'leave the key out for the secure default'));
  if (role.quotas.length > 0 && role.contact === undefined) found.push(finding(path, `role "${role.name}" names no contact: who is stopped does not read whom to ask`, 'add contact'));
  role.members.forEach((member, index) => {
    if (member.kind === 'glob' && /^\*+$/.test(member.value)) found.push(finding([...path, 'members', index], `role "${role.name}" takes in every login`, undefined, 'value'));
  });
  return found;
}

/** A quota counts what the audit log has forgotten. */
function forgottenWindows(role: RoleConfig, keepMs: number | undefined): readonly Finding[] {
  return role.quotas.flatMap((quota, index) => (keepMs === undefined || quota.window === 'statement' || quota.window <= keepMs ? [] : [
    finding(['roles', role.name, 'quotas', index, 'window'], `is longer than the audit log is kept (${formatDuration(keepMs)}): nobody can look up what a refusal counted`, `raise audit.rotate.keep to ${quota.windowText} at least`, 'value'),
  ]));
}

/** A quota that a tighter one keeps from ever being reached. */
function coveredQuotas(role: RoleConfig): readonly Finding[] {
  return role.quotas.flatMap((quota, index) =>
    DIMENSIONS.flatMap((dimension) => {
      const limit = quota[dimension];
      if (limit === undefined || quota.window === 'statement') return [];
      const by = role.quotas.find((other) => other !== quota && covers(other, quota, dimension, limit));
      if (by === undefined) return [];
      return [finding(['roles', role.name, 'quotas', index, dimension], `can never be reached: ${inWords(by)} of the same role is tighter`, undefined, 'value')];
    }),
  );
}

function covers(by: QuotaConfig, quota: QuotaConfig, dimension: Dimension, limit: number): boolean {
  if (by.className !== quota.className || by.action === 'flag' || by.window === 'statement' || quota.window === 'statement') return false;
  // A login takes at most what its role takes, never the other way round.
  if (by.scope === 'principal' && quota.scope === 'role') return false;
  // Each person is in at least one row.
  const byLimit = dimension === 'subjects' ? Math.min(by.subjects ?? Infinity, by.rows ?? Infinity) : (by[dimension] ?? Infinity);
  // The longest run of windows that an interval of the other's length can touch in full or in part.
  const windows = by.window >= quota.window ? 1 : Math.ceil(quota.window / by.window);
  return byLimit * windows < limit || (byLimit * windows === limit && by.window > quota.window);
}

function inWords(quota: QuotaConfig): string {
  const limits = DIMENSIONS.flatMap((dimension) => (quota[dimension] === undefined ? [] : [`${quota[dimension]} ${dimension}`]));
  return `${limits.join(' and ')} in ${quota.windowText}`;
}

function shadowedLogins(roles: readonly RoleConfig[]): readonly Finding[] {
  const seen = new Map<string, string>();
  return roles.flatMap((role) =>
    role.members.flatMap((member, index): Finding[] => {
      const key = `${member.kind}:${member.value}`;
      const first = seen.get(key);
      seen.set(key, first ?? role.name);
      return first === undefined || first === role.name ? [] : [finding(['roles', role.name, 'members', index], `is a member of role "${first}" too: the quotas of both hold`, undefined, 'value')];
    }),
  );
}

function wholePolicy(config: Config): readonly Finding[] {
  const found: Finding[] = [];
  const limited = new Set(config.roles.flatMap((role) => role.quotas.map((quota) => quota.className)));
  for (const cls of config.classes) {
    if (!limited.has(cls.name)) found.push(finding(['classes', cls.name], `no role has a quota on class "${cls.name}"`));
    if (config.roles.some((role) => role.quotas.some((quota) => quota.className === cls.name && quota.subjects !== undefined)) && cls.relations.every((relation) => relation.subject.length === 0)) {
      found.push(finding(['classes', cls.name, 'relations'], `people of class "${cls.name}" are counted, and no relation of it names its subject column: every row counts as another person`, 'add { subject: COLUMN }'));
    }
  }
  if (config.classes.length === 0) found.push(finding(['classes'], 'there is no class, so nothing is protected'));
  if (config.mode === 'monitor') found.push(finding(['mode'], 'nothing is refused in monitor mode, not even what deny names'));
  if (config.unlisted === 'allow') found.push(finding(['unlisted'], 'a login in no role takes what it likes, unmetered'));
  if (config.audit.onFailure === 'continue') found.push(finding(['audit', 'on_failure'], 'protected rows go out without a record while the audit log fails'));
  if (config.audit.key === undefined) found.push(finding(['audit'], 'without audit.key, whoever can write the audit file can change it unseen'));
  if (config.admin.token === undefined) found.push(finding(['admin'], 'without admin.token, rowgate usage, sessions and reload by HTTP are off'));
  return found;
}
