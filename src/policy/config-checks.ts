import type { CheckContext, ConfigPath, Finding } from './config-path.ts';
import { getIn, isRecord } from './config-path.ts';
import { globProblem, qualifiedProblem } from './glob.ts';
import { checkOutlets } from './outlet-checks.ts';
import { checkQuotas } from './quota-checks.ts';
import { checkEncryptionAndLogins } from './login-checks.ts';
import { parseSize } from './units.ts';

/**
 * What a schema cannot say: rules that tie one key to another. They run over the file as written, also if the schema found
 * mistakes, so that all mistakes are told at once; whatever has the wrong shape is skipped here, the schema has told it.
 */
export function crossChecks(tree: unknown, show: CheckContext['show']): Finding[] {
  const findings: Finding[] = [];
  const context: CheckContext = {
    tree,
    show,
    report: (path, message, options = {}) => {
      findings.push({ path, message, at: options.at ?? 'value', hint: options.hint });
    },
  };
  checkStore(context);
  checkPorts(context);
  checkEncryptionAndLogins(context);
  checkOutlets(context);
  checkPatterns(context, ['upstream', 'databases'], globProblem);
  checkPatterns(context, ['auth', 'cleartext'], globProblem);
  checkPatterns(context, ['trusted_functions'], qualifiedProblem);
  for (const name of keysOf(context, ['databases'])) checkPattern(context, ['databases', name], name, globProblem, 'key');
  for (const name of keysOf(context, ['classes'])) checkClass(context, name);
  for (const name of keysOf(context, ['roles'])) checkRole(context, name);
  if (isRecord(getIn(tree, ['classes'])) && keysOf(context, ['classes']).length === 0) {
    context.report(['classes'], 'there must be at least one class', { at: 'key' });
  }
  return findings;
}

const NAME = /^[A-Za-z_][A-Za-z0-9_-]{0,62}$/;

function checkName(context: CheckContext, path: ConfigPath, what: string): void {
  if (NAME.test(String(path.at(-1)))) return;
  context.report(path, `not usable as the name of a ${what}`, { at: 'key', hint: 'letters, digits, _ and -, at most 63, no digit first' });
}

function checkStore(context: CheckContext): void {
  const store = getIn(context.tree, ['store']);
  if (!isRecord(store)) return;
  const given = ['redis', 'sentinel', 'cluster', 'memory'].filter((key) => store[key] !== undefined && store[key] !== false);
  if (given.length > 1) context.report(['store'], `has both ${given.join(' and ')}`, { at: 'key', hint: 'keep one of them' });
  if (given.length === 0) {
    context.report(['store'], 'has neither redis nor memory', { at: 'key', hint: 'write redis: redis://HOST:6379/0 (or sentinel or cluster), or memory: true for one process' });
  }
  const [kind] = given;
  const only = (key: string, kinds: readonly string[], hint: string): void => {
    if (store[key] !== undefined && kind !== undefined && !kinds.includes(kind)) context.report(['store', key], `means nothing with store.${kind}`, { at: 'key', hint });
  };
  only('username', ['sentinel', 'cluster'], 'a URL holds the user and the password');
  only('password', ['sentinel', 'cluster'], 'a URL holds the user and the password');
  only('tls', ['redis', 'sentinel', 'cluster'], 'leave the key out');
  only('journal', ['redis', 'sentinel', 'cluster'], 'leave the key out: what is counted in memory is gone with the process');
  if (isRecord(store['on_outage'])) only('on_outage', ['redis', 'sentinel', 'cluster'], 'leave the key out: memory is never away');
}

function checkPorts(context: CheckContext): void {
  const listenPort = getIn(context.tree, ['listen', 'port']) ?? 6432;
  const adminPort = getIn(context.tree, ['admin', 'port']) ?? 9187;
  if (listenPort !== adminPort || listenPort === 0) return;
  const path = getIn(context.tree, ['admin', 'port']) === undefined ? ['listen', 'port'] : ['admin', 'port'];
  context.report(path, 'listen.port and admin.port are the same');
}

type PatternRule = (pattern: string) => { readonly message: string; readonly hint: string | undefined } | undefined;

function checkPatterns(context: CheckContext, path: ConfigPath, rule: PatternRule): void {
  const list = getIn(context.tree, path);
  if (!Array.isArray(list)) return;
  list.forEach((item, index) => {
    if (typeof item === 'string') checkPattern(context, [...path, index], item, rule, 'value');
  });
}

function checkPattern(context: CheckContext, path: ConfigPath, pattern: string, rule: PatternRule, at: 'key' | 'value'): void {
  const problem = rule(pattern);
  if (problem === undefined) return;
  const shown = at === 'key' ? JSON.stringify(pattern) : context.show(path);
  // A hint may repeat the pattern, so it goes where the pattern may not be shown.
  context.report(path, `${shown ?? 'the pattern'} ${problem.message}`, { at, hint: shown === undefined ? undefined : problem.hint });
}

function checkClass(context: CheckContext, name: string): void {
  const path = ['classes', name];
  checkName(context, path, 'class');
  const relations = getIn(context.tree, [...path, 'relations']);
  if (isRecord(relations)) {
    const patterns = Object.keys(relations);
    if (patterns.length === 0) context.report([...path, 'relations'], 'there must be at least one relation', { at: 'key' });
    for (const pattern of patterns) {
      checkPattern(context, [...path, 'relations', pattern], pattern, qualifiedProblem, 'key');
    }
  }
  for (const pattern of keysOf(context, [...path, 'functions'])) {
    checkPattern(context, [...path, 'functions', pattern], pattern, qualifiedProblem, 'key');
  }
  const unit = bytesAt(context, [...path, 'unit_bytes']) ?? 1024;
  const packed = bytesAt(context, [...path, 'packed_unit_bytes']) ?? 4;
  if (packed > unit) {
    const key = getIn(context.tree, [...path, 'packed_unit_bytes']) === undefined ? 'unit_bytes' : 'packed_unit_bytes';
    context.report([...path, key], 'packed_unit_bytes is larger than unit_bytes, so packing rows together would make them cheaper');
  }
}

function bytesAt(context: CheckContext, path: ConfigPath): number | undefined {
  const value = getIn(context.tree, path);
  if (typeof value === 'number') return value;
  return typeof value === 'string' ? parseSize(value) : undefined;
}

/** `unlisted` stands before the slash in the rule ids of logins that are in no role. */
const RESERVED_ROLE = 'unlisted';

function checkRole(context: CheckContext, name: string): void {
  const path = ['roles', name];
  if (name === RESERVED_ROLE) context.report(path, 'this name is taken for logins in no role', { at: 'key', hint: 'choose another, and see the key unlisted' });
  else checkName(context, path, 'role');
  checkMembers(context, [...path, 'members']);
  checkQuotas(context, [...path, 'quotas']);
  const deny = getIn(context.tree, [...path, 'deny']);
  if (getIn(context.tree, [...path, 'replication']) === true && Array.isArray(deny) && deny.includes('replication')) {
    context.report([...path, 'replication'], 'replication is allowed here and denied in deny', { hint: 'keep one of them' });
  }
}

function checkMembers(context: CheckContext, path: ConfigPath): void {
  const members = getIn(context.tree, path);
  if (!Array.isArray(members)) return;
  if (members.length === 0) context.report(path, 'a role needs at least one member', { at: 'key' });
  members.forEach((member: unknown, index) => {
    if (typeof member === 'string' && member !== '') checkPattern(context, [...path, index], member, globProblem, 'value');
    else if (isRecord(member) && typeof member['pg_role'] === 'string' && member['pg_role'] !== '') {
      checkPattern(context, [...path, index, 'pg_role'], member['pg_role'], exactNameProblem, 'value');
    }
  });
}

function exactNameProblem(name: string): ReturnType<PatternRule> {
  const wildcard = /[*?]/.exec(name);
  if (wildcard === null) return globProblem(name);
  return { message: `has "${wildcard[0]}" in it, but a PostgreSQL role is named exactly`, hint: undefined };
}

function keysOf(context: CheckContext, path: ConfigPath): readonly string[] {
  const value = getIn(context.tree, path);
  return isRecord(value) ? Object.keys(value) : [];
}
