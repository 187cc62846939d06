import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../../src/policy/load-config.ts';
import type { Config } from '../../../src/policy/config.ts';
import { VALID, problemLines, sources } from './fixtures.ts';

function problemsOf(text: string, env: Readonly<Record<string, string>> = {}): string[] {
  return problemLines(loadConfig(text, 'c.yaml', sources(env)));
}

function configOf(text: string, env: Readonly<Record<string, string>> = {}): Config {
  const loaded = loadConfig(text, 'c.yaml', sources(env));
  if (!loaded.ok) throw new Error(problemLines(loaded).join('\n'));
  return loaded.config;
}

/** [what is wrong, what of VALID is replaced, by what, the one line expected] */
const BROKEN: readonly (readonly [string, string | RegExp, string, string])[] = [
  ['a missing version', 'version: 1\n', '', 'c.yaml:1:1: version: missing: expected 1, the version of this format'],
  ['another version', 'version: 1', 'version: 2', 'c.yaml:1:10: version: expected 1, the version of this format, not 2'],
  ['a mistyped key', 'listen: { port', 'listen: { prot', 'c.yaml:2:11: listen.prot: unknown key (did you mean port?)'],
  ['a mistyped key that is needed', 'members: [agent', 'membrs: [agent', 'c.yaml:16:5: roles.support.membrs: unknown key (did you mean members?)'],
  ['an unclosed bracket', '{ port: 6432 }', '{ port: 6432', 'c.yaml:2:9: this { is not closed'],
  ['a duration without a unit', 'user: rowgate', 'user: rowgate, refresh: 5', 'c.yaml:3:36: catalog.refresh: expected a duration such as 90s, 15m, 24h or 30d, not 5 (write 5s, if seconds are meant)'],
  ['an unknown key that is like no other', 'version: 1', 'version: 1\ncolour: red', 'X'],
  ['a mistyped section', 'admin:', 'admn:', 'c.yaml:5:1: admn: unknown key (did you mean admin?)'],
  ['a value of the wrong type', 'port: 6432', 'port: "six"', 'c.yaml:2:17: listen.port: expected a whole number from 0 to 65535, not "six"'],
  ['a port out of range', 'port: 6432', 'port: 65536', 'c.yaml:2:17: listen.port: expected a whole number from 0 to 65535, not 65536'],
  ['a section that is a list', 'listen: { port: 6432 }', 'listen: [6432]', 'c.yaml:2:9: listen: expected a mapping of keys, not a list'],
  ['a section without a value', 'listen: { port: 6432 }', 'listen:', 'c.yaml:2:1: listen: expected a mapping of keys, not nothing'],
  ['verify-client without a CA', '{ port: 6432 }', '{ port: 6432, tls: { cert: a, key: b, mode: verify-client } }', 'c.yaml:2:23: listen.tls: mode is verify-client and there is no client_ca (name the file with the certificates that sign your clients\')'],
  ['a client CA that nobody looks at', '{ port: 6432 }', '{ port: 6432, tls: { cert: a, key: b, client_ca: c } }', 'c.yaml:2:47: listen.tls.client_ca: is looked at in mode verify-client only (write mode: verify-client, or take the key out)'],
  ['a CA that nobody looks at', 'version: 1', 'version: 1\nupstream: { tls: { mode: require, ca: x } }', 'c.yaml:2:35: upstream.tls.ca: is not looked at in mode require (write mode: verify-full, or verify-ca if the certificate names another host)'],
  ['direct TLS with a way back', 'version: 1', 'version: 1\nupstream: { tls: { mode: prefer, negotiation: direct } }', 'c.yaml:2:47: upstream.tls.negotiation: direct does not go with mode prefer (there is no way back to plain text: write mode: require or more)'],
  ['an unknown TLS mode', 'version: 1', 'version: 1\nupstream: { tls: { mode: off } }', 'c.yaml:2:26: upstream.tls.mode: expected one of disable, prefer, require, verify-ca, verify-full, not "off"'],
  ['an allowance during an outage of memory', 'memory: true', 'memory: true, on_outage: { allowance: 20 }', 'c.yaml:4:24: store.on_outage: means nothing with store.memory (leave the key out: memory is never away)'],
  ['SCRAM without verifiers', 'version: 1', 'version: 1\nauth: { method: scram }', 'c.yaml:2:1: auth: method scram needs lookup or users (lookup reads the verifiers from the server; users names a file of them)'],
  ['a lookup that nobody makes', 'version: 1', 'version: 1\nauth: { lookup: { user: a } }', 'c.yaml:2:9: auth.lookup: is looked at with method scram only (write method: scram, or take the key out)'],
  ['passwords in clear without TLS', 'version: 1', 'version: 1\nauth: { cleartext: [a] }', 'c.yaml:2:9: auth.cleartext: needs listen.tls: passwords in clear are taken over TLS only'],
  ['certificates that nobody must show', 'version: 1', 'version: 1\nauth: { method: certificate }', 'c.yaml:2:17: auth.method: certificate needs listen.tls.mode: verify-client (else anybody could come without a certificate)'],
  ['a store with redis and memory', 'memory: true', 'memory: true, redis: "redis://h/0"', 'c.yaml:4:1: store: has both redis and memory (keep one of them)'],
  ['a store with neither', 'memory: true', 'timeout: 1s', 'c.yaml:4:1: store: has neither redis nor memory (write redis: redis://HOST:6379/0 (or sentinel or cluster), or memory: true for one process)'],
  ['a store URL of another kind', 'memory: true', 'redis: "http://u:pw@h/0"', 'c.yaml:4:17: store.redis: expected a Redis URL such as redis://127.0.0.1:6379/0'],
  ['braces in the key prefix', 'memory: true', 'memory: true, prefix: "{a}"', 'c.yaml:4:32: store.prefix: expected a prefix of letters, digits and : . _ -, not "{a}"'],
  ['listening and admin on one port', 'admin: { port: 9187 }', 'admin: { port: 6432 }', 'c.yaml:5:16: admin.port: listen.port and admin.port are the same'],
  ['a missing section', /store: .*\n/, '', 'c.yaml:1:1: store: missing: expected a mapping of keys'],
  ['an unset variable', '${ROWGATE_PASSWORD}', '${NOT_SET}', 'c.yaml:3:37: catalog.password: environment variable NOT_SET is not set'],
  ['an unreadable secret file', '${ROWGATE_PASSWORD}', '${file:/none}', 'c.yaml:3:37: catalog.password: secret file /none cannot be read (ENOENT)'],
  ['a reference without an end', '${ROWGATE_PASSWORD}', '${ROWGATE', 'c.yaml:3:37: catalog.password: "${" has no "}" (write $${ for a plain ${)'],
  ['a reference that names nothing', '${ROWGATE_PASSWORD}', '${a b}', 'c.yaml:3:37: catalog.password: "${a b}" names no environment variable (write ${VAR} or ${file:PATH}, and $${ for a plain ${)'],
  ['a bad duration', 'user: rowgate', 'user: rowgate, refresh: 5 seconds', 'c.yaml:3:36: catalog.refresh: expected a duration such as 90s, 15m, 24h or 30d, not "5 seconds" (write 5s)'],
  ['a duration out of range', 'user: rowgate', 'user: rowgate, refresh: 2d', 'c.yaml:3:36: catalog.refresh: must be from 1s to 1h'],
  ['a bad size', 'employees:\n', 'employees:\n    unit_bytes: 4KB\n', 'c.yaml:12:17: classes.employees.unit_bytes: expected a size such as 512, 4KiB or 1MiB, not "4KB" (write 4KiB)'],
  ['a unit of no bytes', 'employees:\n', 'employees:\n    unit_bytes: 0\n', 'c.yaml:12:17: classes.employees.unit_bytes: expected a size such as 512, 4KiB or 1MiB, not 0'],
  ['packing that makes rows cheaper', 'employees:\n', 'employees:\n    packed_unit_bytes: 4KiB\n', 'c.yaml:12:24: classes.employees.packed_unit_bytes: packed_unit_bytes is larger than unit_bytes, so packing rows together would make them cheaper'],
  ['a relation without a schema', 'hr.people', 'people', 'c.yaml:13:7: classes.employees.relations.people: "people" has no schema (write schema.name, e.g. "public.people" or "*.people")'],
  ['a relation with a database', 'hr.people', 'db.hr.people', 'c.yaml:13:7: classes.employees.relations["db.hr.people"]: "db.hr.people" has more than one dot (write schema.name; use ? for a dot that is part of a name)'],
  ['a relation with a bracket', 'hr.people', '"hr.people_[ab]"', 'c.yaml:13:7: classes.employees.relations["hr.people_[ab]"]: "hr.people_[ab]" has "[" in it, which has no meaning in a pattern (only * (any characters) and ? (one character) are special; write ? for a character that cannot be written)'],
  ['a class without relations', 'hr.people: {}', '{}', 'c.yaml:12:5: classes.employees.relations: there must be at least one relation'],
  ['a class name with a blank', 'employees:', '"our staff":', 'c.yaml:11:3: classes["our staff"]: not usable as the name of a class (letters, digits, _ and -, at most 63, no digit first)'],
  ['a role name that is taken', 'support:', 'unlisted:', 'c.yaml:15:3: roles.unlisted: this name is taken for logins in no role (choose another, and see the key unlisted)'],
  ['a role without members', '[agent, "agent_*"]', '[]', 'c.yaml:16:5: roles.support.members: a role needs at least one member'],
  ['a member that is a number', '[agent, "agent_*"]', '[agent, 7]', 'c.yaml:16:22: roles.support.members[1]: expected a login name, a glob such as "agent_*" or { pg_role: NAME }, not 7'],
  ['a member with a bracket', '[agent, "agent_*"]', '["agent_[12]"]', 'c.yaml:16:15: roles.support.members[0]: "agent_[12]" has "[" in it, which has no meaning in a pattern (only * (any characters) and ? (one character) are special; write ? for a character that cannot be written)'],
  ['a PostgreSQL role by glob', '[agent, "agent_*"]', '[{ pg_role: "a*" }]', 'c.yaml:16:26: roles.support.members[0].pg_role: "a*" has "*" in it, but a PostgreSQL role is named exactly'],
  ['a role without quotas', /    quotas:\n.*\n/, '', 'c.yaml:15:3: roles.support.quotas: missing: expected a list of quotas'],
  ['a quota on an unknown class', 'class: customers', 'class: custmers', 'c.yaml:18:18: roles.support.quotas[0].class: no class is called "custmers" (did you mean customers?)'],
  ['a quota on a class like no other', 'class: customers', 'class: x', 'c.yaml:18:18: roles.support.quotas[0].class: no class is called "x" (the classes are customers, employees)'],
  ['a quota without a limit', ', rows: 200', '', 'c.yaml:18:9: roles.support.quotas[0]: has no limit (give at least one of rows, subjects and bytes)'],
  ['a mistyped limit', 'rows: 200', 'row: 200', 'c.yaml:18:41: roles.support.quotas[0].row: unknown key (did you mean rows?)'],
  ['a comma in a number', 'rows: 200', 'rows: 20,000', 'c.yaml:18:50: roles.support.quotas[0]["000"]: unknown key (numbers are written without commas: 20000, not 20,000)'],
  ['a key that is indented further than its neighbours', 'store: { memory: true }', 'store:\n  memory: true\n    timeout: 1s', 'c.yaml:6:1: wrong indentation (keys of one mapping start at the same column)'],
  ['a list item that is indented less than its neighbours', 'rows: 200 }\n', 'rows: 200 }\n    - { class: customers, window: 24h, rows: 500 }\n', 'c.yaml:19:5: wrong indentation (items of one list start at the same column)'],
  ['a limit of zero', 'rows: 200', 'rows: 0', 'c.yaml:18:47: roles.support.quotas[0].rows: expected a whole number of at least 1, not 0'],
  ['a negative limit', 'rows: 200', 'rows: -5', 'c.yaml:18:47: roles.support.quotas[0].rows: expected a whole number of at least 1, not -5'],
  ['half a row', 'rows: 200', 'rows: 1.5', 'c.yaml:18:47: roles.support.quotas[0].rows: expected a whole number of at least 1, not 1.5'],
  ['no end of rows', 'rows: 200', 'rows: .inf', 'c.yaml:18:47: roles.support.quotas[0].rows: expected a whole number of at least 1, not Infinity'],
  ['a window in words', 'window: 1h', 'window: 1 hour', 'c.yaml:18:37: roles.support.quotas[0].window: expected a duration such as 90s, 15m, 24h or 30d, or "statement", not "1 hour" (write 1h)'],
  ['a window without a unit', 'window: 1h', 'window: 60', 'c.yaml:18:37: roles.support.quotas[0].window: expected a duration such as 90s, 15m, 24h or 30d, or "statement", not 60 (write 60s, if seconds are meant)'],
  ['a window that is too short', 'window: 1h', 'window: 59s', 'c.yaml:18:37: roles.support.quotas[0].window: a window is from 1m to 30d, or "statement"'],
  ['a window that is too long', 'window: 1h', 'window: 31d', 'c.yaml:18:37: roles.support.quotas[0].window: a window is from 1m to 30d, or "statement"'],
  ['an unknown action', 'rows: 200', 'rows: 200, action: blok', 'c.yaml:18:60: roles.support.quotas[0].action: expected one of flag, block, terminate, not "blok" (did you mean block?)'],
  ['a statement window shared by a role', 'window: 1h, rows: 200', 'window: statement, rows: 9, scope: role', 'c.yaml:18:64: roles.support.quotas[0].scope: a statement belongs to one principal, so a statement window has no scope role'],
  ['subjects in a class that has none', 'class: customers, window: 1h, rows', 'class: employees, window: 1h, subjects', 'c.yaml:18:51: roles.support.quotas[0].subjects: no relation of class employees has a subject, so people cannot be counted (say which column tells the person, e.g. { subject: id })'],
  ['two limits on the same thing', 'rows: 200 }', 'rows: 200 }\n      - { class: customers, window: 60m, rows: 100, action: flag }', 'c.yaml:19:42: roles.support.quotas[1].rows: this class, window and scope already have a limit in rows, at roles.support.quotas[0] (keep one of them)'],
  ['an unknown deny category', 'members:', 'deny: [copyout]\n    members:', 'c.yaml:16:12: roles.support.deny[0]: expected one of remote, server_files, replication, fastpath, code, opaque, derived_copy, copy_out, packing, statistics, not "copyout" (did you mean copy_out?)'],
  ['replication allowed and denied', 'members:', 'deny: [replication]\n    replication: true\n    members:', 'c.yaml:17:18: roles.support.replication: replication is allowed here and denied in deny (keep one of them)'],
  ['a trusted function without a schema', 'version: 1', 'version: 1\ntrusted_functions: [f]', 'c.yaml:2:21: trusted_functions[0]: "f" has no schema (write schema.name, e.g. "public.f" or "*.f")'],
  ['a database pattern with a bracket', 'version: 1', 'version: 1\nupstream: { databases: ["a{b}"] }', 'c.yaml:2:25: upstream.databases[0]: "a{b}" has "{" in it, which has no meaning in a pattern (only * (any characters) and ? (one character) are special; write ? for a character that cannot be written)'],
  ['a name of the prototype', 'employees:', '__proto__:', 'c.yaml:11:3: classes.__proto__: is not usable as a name'],
  ['a startup packet that the server would refuse', 'version: 1', 'version: 1\nlimits: { startup_packet_bytes: 16KiB }', 'c.yaml:2:33: limits.startup_packet_bytes: must be at most 10000 bytes'],
  // What YAML itself refuses.
  ['a tab for indentation', '    members:', '\tmembers:', 'c.yaml:16:1: a tab is used for indentation (YAML indents with spaces)'],
  ['wrong indentation', '    quotas:', '   quotas:', 'c.yaml:17:1: wrong indentation (keys of one mapping start at the same column)'],
  ['a key that is there twice', 'admin: { port: 9187 }', 'admin: { port: 9187 }\nversion: 1', 'c.yaml:6:1: this key is here a second time (keep one of them)'],
  ['a reference without quotes in braces', '"${ROWGATE_PASSWORD}"', '${ROWGATE_PASSWORD}', 'c.yaml:3:38: unexpected text (quote a value with ${...} in it, e.g. "${VAR}")'],
  ['a star without quotes', '"agent_*"', '*', 'c.yaml:16:22: this is read as an alias (quote a value that starts with *)'],
  ['an alias without an anchor', '"agent_*"', '*agent', 'c.yaml:1:1: an alias (*name) stands before its anchor (&name), or has none (quote a value that starts with *)'],
  ['a second document', 'admin: { port: 9187 }', '---\nadmin: { port: 9187 }', 'c.yaml:5:1: a second document starts here (one file holds one configuration; remove the --- line)'],
  ['a tag', '"agent_*"', '!x y', 'c.yaml:16:22: unknown tag (!...) (quote a value that starts with !)'],
];

describe('a configuration', () => {
  it('loads if nothing is wrong with it', () => {
    expect(problemsOf(VALID)).toEqual([]);
  });

  it.each(BROKEN)('is refused in one line for %s', (_name, from, to, line) => {
    const broken = VALID.replace(from, () => to);
    expect(broken).not.toBe(VALID);
    const lines = problemsOf(broken);
    if (line === 'X') {
      expect(lines).toHaveLength(1);
      expect(lines[0]).toMatch(/^c\.yaml:2:1: colour: unknown key \(the file knows version, listen, .*trusted_functions\)$/);
      return;
    }
    expect(lines).toEqual([line]);
  });

  it.each([
    ['', 'c.yaml:1:1: the file is empty (start from config/rowgate.yaml)'],
    ['# only a comment\n', 'c.yaml:1:1: the file is empty (start from config/rowgate.yaml)'],
    ['just a text\n', 'c.yaml:1:1: expected a mapping of keys, not "just a text"'],
    [`a: ${'['.repeat(100_000)}`, 'c.yaml:1:1: the file is nested too deeply'],
    ['x'.repeat(5 * 1024 * 1024), 'c.yaml:1:1: the file is longer than 4 MiB'],
  ])('is refused as a whole: %.20s', (text, line) => {
    expect(problemsOf(text)).toEqual([line]);
  });

  it('is refused if its aliases multiply', () => {
    const levels = Array.from({ length: 12 }, (_, level) => `a${level + 1}: &a${level + 1} [${Array(9).fill(`*a${level}`).join(',')}]`);
    expect(problemsOf(`a0: &a0 [x]\n${levels.join('\n')}\n`)).toEqual(['c.yaml:1:1: aliases in the file repeat too much (write the values out)']);
  });

  it('may repeat a part with an alias', () => {
    const text = VALID.replace('quotas:\n', 'quotas: &limits\n') + '  second:\n    members: [b]\n    quotas: *limits\n';
    expect(configOf(text).roles.map((role) => role.quotas.length)).toEqual([1, 1]);
  });

  it('tells all of its mistakes at once, in the order of the file', () => {
    const text = VALID.replace('port: 6432', 'port: x').replace('1h', '1y').replace('hr.people', 'people').replace('memory: true', 'memry: true');
    expect(problemsOf(text).map((line) => line.split(': ')[1])).toEqual([
      'listen.port',
      'store',
      'store.memry',
      'classes.employees.relations.people',
      'roles.support.quotas[0].window',
    ]);
  });

  it('tells a duplicate key together with other mistakes', () => {
    expect(problemsOf(VALID.replace('port: 6432', 'port: x') + 'version: 1\n')).toHaveLength(2);
  });
});

describe('references', () => {
  it('take environment variables and files, inside of a text too', () => {
    const text = VALID.replace('memory: true', 'redis: "redis://:${REDIS_PASSWORD}@h:6379/0"').replace('${ROWGATE_PASSWORD}', '${file:/run/secrets/rowgate}');
    const config = configOf(text);
    expect(config.catalog.password?.reveal()).toBe('from-a-file');
    expect(config.store.kind === 'redis' && config.store.url.reveal()).toBe('redis://:hunter2-redis@h:6379/0');
  });

  it('give numbers and truth values where they are expected', () => {
    const text = VALID.replace('port: 6432', 'port: "${PORT}"').replace('memory: true', 'memory: "${MEMORY}"').replace('rows: 200', 'rows: "${ROWS}"');
    const config = configOf(text, { PORT: '7000', MEMORY: 'true', ROWS: '12' });
    expect([config.listen.port, config.store.kind, config.roles[0]?.quotas[0]?.rows]).toEqual([7000, 'memory', 12]);
  });

  it('keep a number as text where a text is expected', () => {
    expect(configOf(VALID, { ROWGATE_PASSWORD: '12345' }).catalog.password?.reveal()).toBe('12345');
  });

  it('are not looked for in what they brought in, nor in keys', () => {
    expect(configOf(VALID, { ROWGATE_PASSWORD: 'a${ROWGATE_PASSWORD}$&' }).catalog.password?.reveal()).toBe('a${ROWGATE_PASSWORD}$&');
    expect(problemsOf(VALID.replace('hr.people', '"${ROWGATE_PASSWORD}.x"')).join()).not.toContain('hunter2');
  });

  it('can be written as plain text', () => {
    const text = VALID.replace('members:', () => 'contact: "a $${b} c"\n    members:');
    expect(configOf(text).roles[0]?.contact).toBe('a ${b} c');
  });

  it('are refused if the variable is empty', () => {
    expect(problemsOf(VALID, { ROWGATE_PASSWORD: '' })).toEqual(['c.yaml:3:37: catalog.password: environment variable ROWGATE_PASSWORD is empty']);
  });
});

describe('secrets', () => {
  const SECRET = 'tr0ub4dor-and-3';

  it.each([
    ['port: 6432', 'port: "${S}"'],
    ['window: 1h', 'window: "${S}"'],
    ['class: customers', 'class: "${S}"'],
    ['"agent_*"', '"${S}["'],
    ['"agent_*"', '{ pg_role: "${S}*" }'],
    ['memory: true', 'redis: "${S}"'],
    ['memory: true', 'memory: true, prefix: "${S}{"'],
    ['members:', 'deny: ["${S}"]\n    members:'],
    ['version: 1', 'version: "${S}"'],
    ['version: 1', 'version: 1\ntrusted_functions: ["${S}"]'],
    ['version: 1', 'version: 1\nauth: { method: "${S}" }'],
    ['version: 1', 'version: 1\nlog: "${S}"'],
    ['version: 1', 'version: 1\nlimits: { max_statement_bytes: "${S}" }'],
  ])('from a variable are in no message: %s -> %s', (from, to) => {
    const lines = problemsOf(VALID.replace(from, () => to), { S: SECRET });
    expect(lines.length).toBeGreaterThan(0);
    expect(lines.join('\n')).not.toContain(SECRET);
  });

  it.each([
    ['password: "${ROWGATE_PASSWORD}"', `password: [${SECRET}]`],
    ['password: "${ROWGATE_PASSWORD}"', `password: "${SECRET}`],
    ['password: "${ROWGATE_PASSWORD}"', `password: ${SECRET}: x`],
    ['password: "${ROWGATE_PASSWORD}"', `password: "x" ${SECRET}`],
    ['memory: true', `redis: "http://:${SECRET}@h"`],
    ['admin: { port: 9187', `admin: { port: 9187, token: { a: ${SECRET} }`],
  ])('that are written in the file are in no message: %s -> %s', (from, to) => {
    const lines = problemsOf(VALID.replace(from, () => to));
    expect(lines.length).toBeGreaterThan(0);
    expect(lines.join('\n')).not.toContain(SECRET);
  });

  it('do not appear when a configuration is printed', () => {
    const config = configOf(VALID.replace('port: 9187', 'port: 9187, token: "${ROWGATE_ADMIN_TOKEN}"'));
    const printed = [JSON.stringify(config), inspect(config, { depth: 9, showHidden: true }), `${String(config.catalog.password)}`].join('\n');
    expect(printed).not.toContain('hunter2');
    expect(printed).toContain('[redacted]');
  });
});

describe('defaults', () => {
  it('are filled in, in the units that their names say', () => {
    const config = configOf(VALID.replace(/listen: .*\n/, '').replace(/admin: .*\n/, ''));
    expect(config).toMatchObject({
      listen: { host: '127.0.0.1', port: 6432 },
      upstream: { host: '127.0.0.1', port: 5432, databases: undefined },
      auth: { method: 'passthrough' },
      catalog: { user: 'rowgate', refreshMs: 5000 },
      store: { kind: 'memory', prefix: 'rowgate:', timeoutMs: 900, onOutage: 'block' },
      audit: { file: 'audit/rowgate.ndjson', sql: 'normalized', onFailure: 'block', writer: undefined, key: undefined, sync: { everyMs: 1000 }, rotation: { sizeBytes: undefined, everyMs: undefined, keepMs: undefined }, checkpointMs: 60_000 },
      admin: { host: '127.0.0.1', port: 9187, token: undefined },
      metrics: { principalLabel: false },
      log: { level: 'info' },
      limits: { maxStatementBytes: 16 * 1024 ** 2, authTimeoutMs: 60_000, maxSessions: 10_000, startupPacketBytes: 10_000 },
      unlisted: 'block',
      mode: 'enforce',
      trustedFunctions: [],
    });
    expect(config.classes[0]).toMatchObject({ name: 'customers', unitBytes: 1024, packedUnitBytes: 4, functions: [] });
    expect(config.classes[0]?.relations).toEqual([{ pattern: 'crm.customers', subject: ['id'] }, { pattern: 'crm.notes', subject: [] }]);
    expect(config.roles[0]).toMatchObject({ deny: undefined, contact: undefined, replication: false, errors: undefined });
    expect(config.roles[0]?.members).toEqual([{ kind: 'name', value: 'agent' }, { kind: 'glob', value: 'agent_*' }]);
    expect(config.roles[0]?.quotas).toEqual([
      { className: 'customers', window: 3_600_000, windowText: '1h', rows: 200, subjects: undefined, bytes: undefined, scope: 'principal', action: 'block' },
    ]);
  });

  it('let listen and admin both take a free port', () => {
    expect(problemsOf(VALID.replace('6432', '0').replace('9187', '0'))).toEqual([]);
  });
});

describe('a damaged file', () => {
  it('always gives an answer, each problem with a place inside of the file', () => {
    const piece = fc.constantFrom('', ' ', '\n', '\t', ':', '{', '}', '[', ']', '"', "'", '*', '&a', '!', '- ', '? ', '<<: ', '|', '%', '\0', '${', '~', '0', 'x: ', '---\n', '#');
    fc.assert(
      fc.property(fc.nat(VALID.length), fc.nat(12), fc.array(piece, { maxLength: 4 }), (at, cut, pieces) => {
        const text = VALID.slice(0, at) + pieces.join('') + VALID.slice(at + cut);
        const loaded = loadConfig(text, 'c.yaml', sources());
        if (loaded.ok) return;
        expect(loaded.problems.length).toBeGreaterThan(0);
        for (const problem of loaded.problems) {
          expect(problem.line).toBeGreaterThanOrEqual(1);
          expect(problem.line).toBeLessThanOrEqual(text.split('\n').length);
          expect(problem.column).toBeGreaterThanOrEqual(1);
        }
      }),
      { numRuns: 400 },
    );
  });
});
