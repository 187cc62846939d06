import { describe, expect, it } from 'vitest';
import { createOpsLog } from '../../../src/audit/ops-log.ts';

function logged(write: (log: ReturnType<typeof createOpsLog>) => void, level: 'info' | 'silent' = 'info'): string {
  let text = '';
  write(createOpsLog(level, { write: (line: string) => { text += line; } }));
  return text;
}

describe('the operator log', () => {
  it('is JSON with time and level by name', () => {
    expect(JSON.parse(logged((log) => log.info({ port: 6432 }, 'rowgate ready')))).toEqual({
      level: 'info', time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/), port: 6432, msg: 'rowgate ready',
    });
  });

  it('masks passwords, tokens and keys at the depths at which configuration is logged', () => {
    const text = logged((log) => log.info({
      password: 'hunter2', catalog: { user: 'rowgate', password: 'hunter2' }, config: { admin: { token: 'hunter2' } }, headers: { authorization: 'Bearer hunter2' },
    }));
    expect(text).not.toContain('hunter2');
    expect(text).toContain('"user":"rowgate"');
  });

  it('masks passwords in URLs, in messages and in errors too', () => {
    const text = logged((log) => {
      log.info({ store: 'redis://:hunter2@cache:6379/0' }, 'using redis://app:hunter2@cache');
      log.error({ err: new Error('cannot reach redis://:hunter2@cache') });
    });
    expect(text).not.toContain('hunter2');
  });

  it('takes no customer values out of errors of the PostgreSQL server', () => {
    const error = Object.assign(new Error('invalid input syntax for type integer: "x@example.com"'), {
      severity: 'ERROR', code: '22P02', detail: 'Key (email)=(x@example.com) already exists.', where: 'x@example.com',
    });
    const text = logged((log) => log.error({ err: error }, 'catalog query failed'));
    expect(text).not.toContain('x@example.com');
    expect(text).toContain('22P02');
  });

  it('keeps code, message and stack of our own errors, and no other property', () => {
    const error = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED', payload: 'private' });
    const record = JSON.parse(logged((log) => log.error({ err: error }))) as { err: Record<string, unknown> };
    expect(record.err).toEqual({ type: 'Error', code: 'ECONNREFUSED', message: 'connect ECONNREFUSED', stack: expect.stringContaining('ops-log.test') });
  });

  it('gives one line a record, whatever the values hold', () => {
    const text = logged((log) => log.info({ name: 'a\nb\u2028c\u0085d\u001b[2J' }));
    expect(text.indexOf('\n')).toBe(text.length - 1);
    for (const char of ['\u2028', '\u0085', '\u001b']) expect(text).not.toContain(char);
  });

  it('says nothing when silent', () => {
    expect(logged((log) => log.fatal('x'), 'silent')).toBe('');
  });
});
