import { describe, expect, test } from 'vitest';
import type { Reach } from '../../../src/catalog/reach-types.ts';
import type { PrincipalPolicy } from '../../../src/policy/types.ts';
import { settingVerdict } from '../../../src/session/lexer-settings.ts';
import type { StatementFacts } from '../../../src/sql/facts.ts';

const refused = (name: string, value: string | undefined, kind = 'select'): boolean =>
  settingVerdict({ kind, modifies: false, settings: [{ name, value }] } as unknown as StatementFacts, { relations: [] } as unknown as Reach, { roles: ['support'] } as unknown as PrincipalPolicy) !== undefined;

describe('a setting whose name is not written out', () => {
  test.each(['on', 'OFF', ' off ', 'of', 'f', '0', 'no', 'SJIS', 's.j.i.s', 'Shift_JIS-2004', 'GB18030', 'BIG5', 'win950', 'UTF8', '', 'EUC_JIS_2004', undefined])('may not get %j: a setting that says how text is read could take it', (value) => {
    expect(refused('*dynamic*', value)).toBe(true);
  });

  test('may get what neither of them takes, as pg_dump gives it', () => {
    expect(refused('*dynamic*', 'view, foreign-table')).toBe(false);
  });
});

describe('one that is', () => {
  test.each([['client_encoding', 'SJIS'], ['client_encoding', undefined], ['standard_conforming_strings', 'off'], ['standard_conforming_strings', undefined]])('%s = %j is refused', (name, value) => {
    expect(refused(name, value)).toBe(true);
  });

  test.each([['client_encoding', 'utf-8'], ['client_encoding', 'WIN1250'], ['standard_conforming_strings', 'on'], ['work_mem', 'off']])('%s = %j is not', (name, value) => {
    expect(refused(name, value)).toBe(false);
  });
});
