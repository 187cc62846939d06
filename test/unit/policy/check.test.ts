import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { checkCommand, runCheck } from '../../../src/cli/check.ts';
import { VALID, sources } from './fixtures.ts';

function run(files: Readonly<Record<string, string>>, config = '/etc/rowgate/c.yaml'): { code: number; out: string[]; err: string[] } {
  const out: string[] = [];
  const err: string[] = [];
  const { env, readFile } = sources({}, files);
  const code = runCheck({ config }, { env, readFile, out: (line) => out.push(line), err: (line) => err.push(line) });
  return { code, out, err };
}

const WARNINGS = [
  'warning: /etc/rowgate/c.yaml:1:1: audit: without audit.key, whoever can write the audit file can change it unseen',
  'warning: /etc/rowgate/c.yaml:5:1: admin: without admin.token, rowgate usage, sessions and reload by HTTP are off',
  'warning: /etc/rowgate/c.yaml:11:3: classes.employees: no role has a quota on class "employees"',
  'warning: /etc/rowgate/c.yaml:15:3: roles.support: role "support" names no contact: who is stopped does not read whom to ask (add contact)',
];

function warningsOf(support: string, rest = ''): readonly string[] {
  const text = VALID.replace(/^roles:[^]*$/m, `roles:\n  support:\n    contact: a@b.c\n    members: [agent]\n    quotas:\n${support}${rest}`);
  return run({ '/etc/rowgate/c.yaml': text }).err.filter((line) => /support|sales|unlisted|mode/.test(line)).map((line) => line.replace(/^warning: \S+ /, ''));
}

describe('warnings of rowgate check', () => {
  it('fail the check if they are to', () => {
    const { env, readFile } = sources({}, { '/etc/rowgate/c.yaml': VALID });
    expect(runCheck({ config: '/etc/rowgate/c.yaml', strict: true }, { env, readFile, out: () => undefined, err: () => undefined })).toBe(1);
  });

  it.each([
    ['a longer window with a higher limit is no mistake', '      - { class: customers, window: 1h, rows: 10 }\n      - { class: customers, window: 24h, rows: 100 }\n', []],
    ['24 hours of the hourly limit are less than the daily one', '      - { class: customers, window: 1h, rows: 10 }\n      - { class: customers, window: 24h, rows: 300 }\n', ['roles.support.quotas[1].rows: can never be reached: 10 rows in 1h of the same role is tighter']],
    ['a longer window with a lower limit', '      - { class: customers, window: 1h, rows: 10 }\n      - { class: customers, window: 24h, rows: 10 }\n', ['roles.support.quotas[0].rows: can never be reached: 10 rows in 24h of the same role is tighter']],
    ['rows bound people', '      - { class: customers, window: 24h, rows: 10 }\n      - { class: customers, window: 24h, subjects: 11 }\n', ['roles.support.quotas[1].subjects: can never be reached: 10 rows in 24h of the same role is tighter']],
    ['people do not bound rows', '      - { class: customers, window: 24h, subjects: 10 }\n      - { class: customers, window: 24h, rows: 11 }\n', []],
    ['a quota that only flags covers nothing', '      - { class: customers, window: 1h, rows: 10, action: flag }\n      - { class: customers, window: 24h, rows: 300 }\n', []],
    ['a quota of each login does not cover the role\'s', '      - { class: customers, window: 24h, rows: 10 }\n      - { class: customers, window: 24h, rows: 11, scope: role }\n', []],
    ['the role\'s covers that of each login', '      - { class: customers, window: 24h, rows: 12 }\n      - { class: customers, window: 24h, rows: 11, scope: role }\n', ['roles.support.quotas[0].rows: can never be reached: 11 rows in 24h of the same role is tighter']],
    ['only statements are limited', '      - { class: customers, window: statement, rows: 10 }\n', ['roles.support.quotas: role "support" is limited a statement at a time only: any number of statements takes everything (add a quota with a window such as 24h)']],
    ['only flags', '      - { class: customers, window: 24h, rows: 10, action: flag }\n', ['roles.support.quotas: every quota of role "support" only flags: its members are never stopped']],
  ])('%s', (_name, quotas, expected) => {
    expect(warningsOf(quotas)).toEqual(expected);
  });

  it('tell of a window that is longer than the audit log is kept', () => {
    const text = `${VALID}audit: { key: ${'0123456789abcdef'.repeat(2)}, rotate: { every: 24h, keep: 10d } }\n`.replace(/^audit: \{ file.*\n/m, '').replace('window: 1h', 'window: 30d');
    expect(run({ '/etc/rowgate/c.yaml': text }).err.filter((line) => line.includes('kept'))).toEqual([
      expect.stringMatching(/^warning: \S+: roles\.support\.quotas\[0\]\.window: is longer than the audit log is kept \(10d\): nobody can look up what a refusal counted \(raise audit\.rotate\.keep to 30d at least\)$/),
    ]);
    expect(run({ '/etc/rowgate/c.yaml': text.replace('10d', '30d') }).err.filter((line) => line.includes('kept'))).toEqual([]);
  });

  it('tell of a member of two roles, of a role without quotas, of modes that stop nothing', () => {
    const more = '  sales: { members: [agent, "*"], quotas: [] }\nunlisted: allow\nmode: monitor\n';
    expect(warningsOf('      - { class: customers, window: 24h, rows: 10 }\n', more)).toEqual([
      'roles.sales.members[0]: is a member of role "support" too: the quotas of both hold',
      'roles.sales.members[1]: role "sales" takes in every login',
      'roles.sales.quotas: role "sales" has no quota: its members are counted and never stopped',
      'unlisted: a login in no role takes what it likes, unmetered',
      'mode: nothing is refused in monitor mode, not even what deny names',
    ]);
  });
});

describe('rowgate check', () => {
  it('says what a valid file holds', () => {
    expect(run({ '/etc/rowgate/c.yaml': VALID })).toEqual({ code: 0, out: ['config is valid: 2 classes, 1 role, 1 quota'], err: WARNINGS });
  });

  it.each([
    ['rowgate', 'config is valid: 1 class, 2 roles, 4 quotas'],
    ['call-centre', 'config is valid: 1 class, 3 roles, 6 quotas'],
    ['marketing', 'config is valid: 2 classes, 2 roles, 5 quotas'],
    ['analytics', 'config is valid: 1 class, 3 roles, 4 quotas'],
  ])('accepts the shipped configuration %s.yaml', (name, says) => {
    const text = readFileSync(new URL(`../../../config/${name}.yaml`, import.meta.url), 'utf8');
    expect(text.split('\n')[0]).toBe('# yaml-language-server: $schema=./rowgate.schema.json');
    expect(run({ '/etc/rowgate/c.yaml': text }).out).toEqual([says]);
  });

  it('tells every mistake, one a line, and fails', () => {
    const result = run({ '/etc/rowgate/c.yaml': VALID.replace('1h', 'soon').replace('6432', 'x') });
    expect(result).toMatchObject({ code: 1, out: [] });
    expect(result.err).toEqual([
      '/etc/rowgate/c.yaml:2:17: listen.port: expected a whole number from 0 to 65535, not "x"',
      '/etc/rowgate/c.yaml:18:37: roles.support.quotas[0].window: expected a duration such as 90s, 15m, 24h or 30d, or "statement", not "soon"',
    ]);
  });

  it('fails if there is no such file', () => {
    expect(run({})).toEqual({ code: 1, out: [], err: ['/etc/rowgate/c.yaml: cannot be read (ENOENT)'] });
  });

  it('looks for secret files beside the configuration', () => {
    const text = VALID.replace('${ROWGATE_PASSWORD}', '${file:secrets/pw}');
    expect(run({ '/etc/rowgate/c.yaml': text, '/etc/rowgate/secrets/pw': 'x\n' }).code).toBe(0);
  });

  it('is a command that wants a file', () => {
    expect(checkCommand().options.map((option) => [option.flags, option.mandatory])).toEqual([['-c, --config <file>', true], ['--connect [database...]', false], ['--strict', false]]);
  });
});
