import { describe, expect, it } from 'vitest';
import { RecordWriter } from '../../../src/audit/record-body.ts';
import { Sealer } from '../../../src/audit/sealer.ts';
import type { StatementEnd } from '../../../src/audit/events.ts';
import { auditSql, boundEvent, boundNames, boundText, defaultAuditLimits, maskUrlPasswords } from '../../../src/audit/redact.ts';

const statement: StatementEnd = {
  event: 'statement_end', session_id: 's1', principal: 'agent', roles: ['support'], client_address: '10.0.0.1', application_name: 'psql', database: 'crm',
  statement_id: '1', statement_kind: 'select', sql: 'SELECT $1', fingerprint: undefined, classes: [{ class: 'customers', units: 3 }], relations: ['crm.customers'],
  opaque: [], decision: 'allow', rows: 3, units: 3, bytes: 300, duration_ms: 1.5,
};

const sealer = new Sealer(undefined);

function format(event: StatementEnd): string {
  const body = new RecordWriter(defaultAuditLimits, () => 0, undefined).body(event);
  return sealer.seal({ chain: 'abcdef012345', seq: 0, mac: '0'.repeat(64) }, [body]).bytes.toString('utf8');
}

describe('a line of the audit log', () => {
  it('says everything once, with version, number and time first and the MAC last', () => {
    expect(format(statement).replace(/[0-9a-f]{64}/, '...')).toBe(
      '{"v":2,"seq":1,"chain":"abcdef012345","time":"1970-01-01T00:00:00.000Z","event":"statement_end","session_id":"s1","principal":"agent","roles":["support"],'
      + '"client_address":"10.0.0.1","application_name":"psql","database":"crm","statement_id":"1","statement_kind":"select","sql":"SELECT $1",'
      + '"classes":[{"class":"customers","units":3}],"relations":["crm.customers"],"opaque":[],"decision":"allow","rows":3,"units":3,"bytes":300,"duration_ms":1.5,"mac":"..."}\n',
    );
  });

  it('cannot be forged by a value: no character of a value ends a line, moves a cursor or turns the reading direction', () => {
    const plainLetters = (code: number): boolean => code > 0x3000 && code < 0xd700;
    for (let code = 0; code <= 0xffff; code += plainLetters(code) ? 0x100 : 1) {
      const hostile = `x${String.fromCharCode(code)}\\","event":"login_failed`;
      for (const text of [hostile, hostile.padEnd(200, '.')]) {
        const line = format({ ...statement, principal: text });
        const hidden = code < 0x20 || (code >= 0x7f && code < 0xa0) || code === 0x2028 || code === 0x2029 || code === 0x202e;
        const parsed = JSON.parse(Buffer.from(line).toString('utf8')) as StatementEnd;
        const safe = parsed.principal === text && parsed.event === 'statement_end' && !(hidden && line.slice(0, -1).includes(String.fromCharCode(code)));
        if (!safe) expect.fail(`U+${code.toString(16)} changes the line`);
      }
    }
  });

  it('keeps non-Latin text and emoji as they are', () => {
    expect(format({ ...statement, principal: 'Žofie 北京 🦆' })).toContain('"Žofie 北京 🦆"');
  });
});

describe('bounds', () => {
  it('leave an event that fits alone', () => {
    expect(boundEvent(statement, defaultAuditLimits)).toBe(statement);
  });

  it('cut each text to its own length, and say so', () => {
    const bounded = boundEvent(
      { ...statement, sql: 'S'.repeat(9000), application_name: 'a'.repeat(65), principal: 'p'.repeat(10_000), relations: ['r'.repeat(300)] },
      defaultAuditLimits,
    );
    expect(bounded.sql).toBe(`${'S'.repeat(8192)}[+808 chars]`);
    expect(bounded.application_name).toBe(`${'a'.repeat(64)}[+1 chars]`);
    expect(bounded.principal).toHaveLength(256 + '[+9744 chars]'.length);
    expect(bounded.relations).toEqual([`${'r'.repeat(256)}[+44 chars]`]);
  });

  it('do not cut through a surrogate pair', () => {
    expect(boundText('ab🦆cd', 3)).toBe('ab[+4 chars]');
    expect(boundText('ab🦆cd', 4)).toBe('ab🦆[+2 chars]');
  });

  it('cut long lists', () => {
    const names = Array.from({ length: 300 }, (_, i) => `r${i}`);
    const kept = boundNames(names, defaultAuditLimits);
    expect(kept).toHaveLength(257);
    expect(kept[256]).toBe('[+44 more]');
  });
});

describe('the text for the sql field', () => {
  const full = "SELECT * FROM t WHERE email = 'x@example.com'";

  it('is what the configuration asks for', () => {
    expect(auditSql('none', full, 'n')).toBeUndefined();
    expect(auditSql('normalized', full, 'n')).toBe('n');
    expect(auditSql('full', full, 'n')).toBe(full);
  });

  it('is absent, not full, when there is no normalised text', () => {
    expect(auditSql('normalized', full, undefined)).toBeUndefined();
  });

  it.each([
    "ALTER ROLE agent PASSWORD 'hunter2'",
    "create user x encrypted Password $a$hunter2$a$",
    "CREATE USER MAPPING FOR x SERVER s OPTIONS (user 'u', password 'hunter2')",
    "SELECT dblink('host=h passwd=hunter2', 'select 1')",
  ])('holds no password, also in full: %s', (sql) => {
    expect(auditSql('full', sql, 'normalised')).toBe('normalised');
    expect(auditSql('full', sql, undefined)).toBeUndefined();
  });
});

it('passwords in URLs are masked', () => {
  expect(maskUrlPasswords('redis://:hunter2@h:6379/0 and postgres://u:p%40w@h/db and http://h:80/x@y')).toBe(
    'redis://:***@h:6379/0 and postgres://u:***@h/db and http://h:80/x@y',
  );
});
