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

describe('rowgate check', () => {
  it('says what a valid file holds', () => {
    expect(run({ '/etc/rowgate/c.yaml': VALID })).toEqual({ code: 0, out: ['config is valid: 2 classes, 1 role, 1 quota'], err: [] });
  });

  it('accepts the shipped configuration', () => {
    const text = readFileSync(new URL('../../../config/rowgate.yaml', import.meta.url), 'utf8');
    expect(run({ '/etc/rowgate/c.yaml': text }).out).toEqual(['config is valid: 1 class, 2 roles, 4 quotas']);
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
    expect(checkCommand().options.map((option) => [option.flags, option.mandatory])).toEqual([['-c, --config <file>', true]]);
  });
});
