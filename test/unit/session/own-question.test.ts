import { describe, expect, it } from 'vitest';
import { ownQuestion } from '../../../src/session/own-question.ts';

describe('a question to Rowgate itself', () => {
  it.each([
    'SELECT * FROM rowgate.usage',
    'select*from rowgate.usage',
    'SELECT * FROM ROWGATE.USAGE ; ',
    '\n\tSELECT *\n  FROM rowgate.usage;;\n',
    'TABLE rowgate.usage',
    '/* ApplicationName=DBeaver 24.1 */ SELECT * FROM rowgate.usage',
    '-- what is left?\nSELECT * FROM rowgate.usage -- of today',
    'SELECT /* all */ * FROM rowgate.usage /* and no more **/;',
  ])('is what is left: %j', (text) => expect(ownQuestion(text)).toEqual({ kind: 'usage' }));

  it('keeps to the rows that a client limits it to', () => {
    expect(ownQuestion('SELECT * FROM "rowgate"."usage" LIMIT 501')).toEqual({ kind: 'usage', most: 501 });
  });

  it.each(['SELECT rowgate.request($1)', 'select "rowgate"."request"( $1::text );', 'SELECT rowgate.request($1::varchar)'])('asks for more, for a reason that comes with Bind: %j', (text) => expect(ownQuestion(text)).toEqual({ kind: 'request', reason: undefined }));

  it.each([
    ["SELECT rowgate.request(E'C:\\\\desk and it\\'s ''late''')", "C:\\desk and it's 'late'"],
    ["SELECT rowgate.request('complaint 4711')", 'complaint 4711'],
    ["  select ROWGATE.Request ( 'it''s urgent' ) ;  -- thanks", "it's urgent"],
    ["/* psycopg2 */SELECT rowgate.request('-- no comment; /* nor this */')\n;", '-- no comment; /* nor this */'],
  ])('asks for more: %j', (text, reason) => expect(ownQuestion(text)).toEqual({ kind: 'request', reason }));

  it.each([
    "SELECT rowgate.request('a'); DROP TABLE x",
    "SELECT rowgate.request('a') /* open",
    'SELECT * FROM rowgate.usage; SELECT * FROM crm.customers',
    '-- SELECT * FROM rowgate.usage',
    'SELECT * FROM rowgate.usage, crm.customers',
    "SELECT rowgate.request('a\\') OR ('')",
    'SELECT * FROM rowgate.usages',
    "SELECT rowgate.request(E'\\x41')",
    "SELECT rowgate.request(E'a\\')",
    'SELECT rowgate.request($2)',
    'SELECT * FROM rowgate.usage LIMIT 1 OFFSET 1',
  ])('is not what says more, or less: %j', (text) => expect(ownQuestion(text)).toBeUndefined());

  it('is told from other texts in no time, however they are made', () => {
    const start = performance.now();
    for (const text of [`SELECT ${'/**/ '.repeat(190)}rowgate.`, `${'-'.repeat(980)}rowgate.`, `SELECT rowgate.request('${"'".repeat(960)}`, `/*${'*'.repeat(980)} rowgate.`]) expect(ownQuestion(text)).toBeUndefined();
    expect(performance.now() - start).toBeLessThan(200);
  });
});
