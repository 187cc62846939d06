import { expect, test } from 'vitest';
import type { Notes } from '../../../src/quota/store.ts';
import { CancelKeys } from '../../../src/session/cancel-keys.ts';
import { Routes } from '../../../src/session/routes.ts';
import type { UpstreamAddress } from '../../../src/session/upstream.ts';

const [CRM, BILLING, DWH] = ['crm', 'billing', 'dwh'].map((host) => ({ host, port: 5432 }) as UpstreamAddress) as [UpstreamAddress, UpstreamAddress, UpstreamAddress];
const ROUTES = new Routes(
  [
    { pattern: 'b*', address: DWH, database: undefined },
    { pattern: 'billing', address: BILLING, database: 'ledger' },
    { pattern: 'bi*', address: BILLING, database: undefined },
  ],
  CRM,
);
const KEY = Buffer.from([0, 0, 0, 42, 1, 2, 3, 4]);

/** What processes share: a map in the place of the store. */
function sharedNotes(): { readonly notes: Notes; readonly values: Map<string, string>; lookups: number } {
  const shared = {
    lookups: 0,
    values: new Map<string, string>(),
    notes: {
      put: async (key: string, value: string) => void shared.values.set(key, value),
      get: async (key: string) => {
        shared.lookups++;
        return shared.values.get(key);
      },
      drop: async (key: string) => void shared.values.delete(key),
    },
  };
  return shared;
}

function process(notes: Notes | undefined, sent: string[], nowMs = () => 0): CancelKeys {
  return new CancelKeys({
    routes: ROUTES,
    nowMs,
    send: async (upstream, keyData) => void sent.push(`${upstream.host} ${keyData.toString('hex')}`),
    shared: notes === undefined ? undefined : { notes, secret: async () => Buffer.alloc(32, 7) },
    onError: () => undefined,
  });
}

test('an exact name counts before a glob, an earlier glob before a later one, and the rest has its server', () => {
  expect(ROUTES.find('billing')).toEqual({ address: BILLING, database: 'ledger', key: 'billing:5432/ledger' });
  expect(ROUTES.find('bids')).toMatchObject({ address: DWH, database: 'bids' });
  expect(ROUTES.find('crm')).toMatchObject({ address: CRM, database: 'crm' });
  expect(new Routes([], undefined).find('crm')).toBeUndefined();
});

test('a key goes to the server that gave it, for as long as its session lives', async () => {
  const sent: string[] = [];
  const keys = process(undefined, sent);
  const forget = keys.add(KEY, BILLING);
  expect(await keys.pass(KEY)).toBe('passed');
  expect(await keys.pass(Buffer.from([0, 0, 0, 42, 1, 2, 3, 5]))).toBe('unknown_key');
  // A longer key that begins like one that is known (protocol 3.2).
  expect(await keys.pass(Buffer.concat([KEY, Buffer.alloc(28)]))).toBe('unknown_key');
  forget();
  expect(await keys.pass(KEY)).toBe('unknown_key');
  expect(sent).toEqual([`billing ${KEY.toString('hex')}`]);
  keys.close();
});

test('the same key of two servers goes to both, and stays with the one whose session lives on', async () => {
  const sent: string[] = [];
  const keys = process(undefined, sent);
  const forget = keys.add(KEY, BILLING);
  keys.add(KEY, CRM);
  await keys.pass(KEY);
  forget();
  await keys.pass(KEY);
  expect(sent.map((each) => each.split(' ')[0])).toEqual(['billing', 'crm', 'crm']);
  keys.close();
});

test('another process finds the server, and the store holds neither key nor process id', async () => {
  const shared = sharedNotes();
  const sent: string[] = [];
  const [first, second] = [process(shared.notes, []), process(shared.notes, sent)];
  const forget = first.add(KEY, BILLING);
  await new Promise((resolve) => setImmediate(resolve));
  expect(await second.pass(KEY)).toBe('passed');
  expect(sent).toEqual([`billing ${KEY.toString('hex')}`]);
  expect([...shared.values.keys()].every((name) => /^cancel:[\w-]{43}$/.test(name))).toBe(true);
  forget();
  await new Promise((resolve) => setImmediate(resolve));
  expect(await second.pass(KEY)).toBe('unknown_key');
  first.close();
  second.close();
});

test('guesses are looked up at a bounded rate, and known keys are never refused for it', async () => {
  const shared = sharedNotes();
  let nowMs = 0;
  const keys = process(shared.notes, [], () => nowMs);
  keys.add(KEY, CRM);
  const verdicts = new Set<string>();
  for (let i = 0; i < 10_000; i++) {
    nowMs += 1;
    const guess = Buffer.alloc(8);
    guess.writeUInt32BE(i, 4);
    verdicts.add(await keys.pass(guess));
  }
  // 10 s at 50 a second, and a burst of 100.
  expect(shared.lookups).toBeLessThanOrEqual(600);
  expect(verdicts).toEqual(new Set(['unknown_key', 'too_many']));
  expect(await keys.pass(KEY)).toBe('passed');
  keys.close();
});
