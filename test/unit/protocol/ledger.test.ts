import { describe, expect, test } from 'vitest';
import { Ledger, matchReply, type RequestKind } from '../../../src/protocol/ledger.ts';
import { Backend } from '../../../src/protocol/message-types.ts';

function ledger(...kinds: RequestKind[]): Ledger<string> {
  const made = new Ledger<string>();
  kinds.forEach((kind, i) => made.push(kind, `${kind}${i}`));
  return made;
}

describe('the ledger', () => {
  test('matches a pipeline of parse, bind, describe, execute and sync in order', () => {
    const requests = ledger('parse', 'bind', 'describe_portal', 'execute', 'sync');
    for (const type of [Backend.ParseComplete, Backend.BindComplete, Backend.RowDescription]) {
      expect(requests.match(type)).toBe('last');
      requests.shift();
    }
    expect(requests.match(Backend.DataRow)).toBe('part');
    expect(requests.match(Backend.CommandComplete)).toBe('last');
    requests.shift();
    expect(requests.match(Backend.ReadyForQuery)).toBe('last');
  });

  test('takes several statements in one query until ReadyForQuery', () => {
    const requests = ledger('query');
    for (const type of [Backend.RowDescription, Backend.DataRow, Backend.CommandComplete, Backend.EmptyQueryResponse, Backend.ErrorResponse]) expect(requests.match(type)).toBe('part');
    expect(requests.match(Backend.ReadyForQuery)).toBe('last');
    expect(requests.match(Backend.PortalSuspended)).toBe('mismatch');
  });

  test('after an error in the extended protocol goes on at the next sync, over queries too', () => {
    const requests = ledger('bind', 'execute', 'query', 'sync', 'query');
    expect(requests.match(Backend.ErrorResponse)).toBe('error_skips_to_sync');
    expect(requests.skipToSync().map((entry) => entry.payload)).toEqual(['bind0', 'execute1', 'query2']);
    expect(requests.skipping).toBe(false);
    expect(requests.head?.kind).toBe('sync');
  });

  test('skips what is yet to come if no sync was sent', () => {
    const requests = ledger('parse', 'bind');
    requests.skipToSync();
    expect(requests.skipping).toBe(true);
    requests.push('sync', 's');
    expect(requests.skipping).toBe(false);
  });

  test('an error at sync itself is answered by ReadyForQuery', () => {
    const requests = ledger('sync');
    expect(requests.match(Backend.ErrorResponse)).toBe('part');
    expect(requests.match(Backend.ReadyForQuery)).toBe('last');
  });

  test('nothing is expected where nothing was asked', () => {
    expect(ledger().match(Backend.DataRow)).toBe('mismatch');
  });

  test('rows answer a query or an execute and nothing else', () => {
    for (const kind of ['parse', 'bind', 'describe_statement', 'describe_portal', 'close', 'function_call', 'sync'] as const) {
      expect(matchReply(kind, Backend.DataRow)).toBe('mismatch');
      expect(matchReply(kind, Backend.CopyData)).toBe('mismatch');
    }
  });

  test('keeps its order over many requests', () => {
    const requests = new Ledger<number>();
    let next = 0;
    for (let i = 0; i < 1000; i++) {
      requests.push('sync', i);
      if (i % 3 !== 0) expect(requests.shift()?.payload).toBe(next++);
    }
    while (requests.length > 0) expect(requests.shift()?.payload).toBe(next++);
    expect(next).toBe(1000);
  });
});
