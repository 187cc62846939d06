import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Counter, CounterStore, Reservation, ReserveGroup } from '../../../src/quota/store.ts';
import { PeopleModel } from './people-model.ts';
import { leaseLifeMs, MAX_UNITS, shapeOf } from '../../../src/quota/window.ts';
import { hashesOf } from '../../support/people.ts';

export interface StoreFixture {
  readonly store: CounterStore;
  /** Another process's view of the same counters; the same object where there is but one process. */
  readonly other: CounterStore;
  /** Lets the store's clock run on. */
  readonly pass: (ms: number) => Promise<void>;
  readonly end: () => Promise<void>;
}

let serial = 0;
export function counter(limit: number | null, windowMs = 3_600_000, name = `c${(serial += 1)}`): Counter {
  return { key: `${name}:rows:${windowMs}:p:agent`, windowMs, limit };
}

export function people(limit: number | null, windowMs = 3_600_000): Counter {
  return { ...counter(limit, windowMs, `{c${(serial += 1)}}:subjects`), people: 100 };
}

export function group(want: number, min: number, ...counters: Counter[]): ReserveGroup {
  return { want, min, counters };
}

export function granted(answer: Reservation): number[] {
  expect(answer.kind).toBe('granted');
  return answer.groups.map((part) => part.granted);
}

function leaseOf(answer: Reservation): Extract<Reservation, { kind: 'granted' }>['lease'] {
  if (answer.kind !== 'granted') throw new Error('refused');
  return answer.lease;
}

export async function usedOf(store: CounterStore, ...counters: Counter[]): Promise<number[]> {
  return (await store.usage(counters)).map(({ used }) => used);
}

/** What every counter store must do. */
export function describeStore(name: string, open: () => Promise<StoreFixture>): void {
  describe(name, () => {
    let fixture: StoreFixture;
    let store: CounterStore;
    beforeEach(async () => {
      fixture = await open();
      store = fixture.store;
    });
    afterEach(() => fixture.end());

    it('grants exactly the limit to 300 parallel reservations of two processes', async () => {
      const c = counter(200);
      const answers = await Promise.all(Array.from({ length: 300 }, (_, i) => (i % 2 === 0 ? store : fixture.other).reserve([group(1, 1, c)])));
      expect(answers.filter(({ kind }) => kind === 'granted')).toHaveLength(200);
      expect(await usedOf(fixture.other, c)).toEqual([200]);
    });

    it('grants a part where less than wanted and at least the minimum is left', async () => {
      const c = counter(10);
      expect(granted(await store.reserve([group(7, 1, c)]))).toEqual([7]);
      expect(granted(await store.reserve([group(7, 2, c)]))).toEqual([3]);
      const refused = await store.reserve([group(7, 1, c)]);
      expect(refused).toMatchObject({ kind: 'refused', group: 0, counter: 0, groups: [{ granted: 0, counters: [{ used: 10 }] }] });
    });

    it('refuses where less than the minimum is left, and counts nothing', async () => {
      const c = counter(10);
      await store.reserve([group(8, 8, c)]);
      expect((await store.reserve([group(8, 3, c)])).kind).toBe('refused');
      expect(await usedOf(store, c)).toEqual([8]);
    });

    it('reserves all groups or none, and names the first limit that was short', async () => {
      const [rows, hourly, daily, bytes] = [counter(100), counter(100), counter(5, 86_400_000), counter(50)];
      const answer = await store.reserve([group(10, 1, rows), group(10, 6, hourly, daily), group(60, 60, bytes)]);
      expect(answer).toMatchObject({ kind: 'refused', group: 1, counter: 1 });
      expect(await usedOf(store, rows, hourly, daily, bytes)).toEqual([0, 0, 0, 0]);
    });

    it('grants each group the least that remains over its limits, and counts that in each of its counters', async () => {
      const [tight, wide, counted, bytes] = [counter(5), counter(50), counter(null), counter(1000)];
      expect(granted(await store.reserve([group(20, 1, tight, wide, counted), group(300, 1, bytes)]))).toEqual([5, 300]);
      expect(await usedOf(store, tight, wide, counted, bytes)).toEqual([5, 5, 5, 300]);
    });

    it('refuses everything under a limit of 0 and under one that was lowered', async () => {
      const c = counter(10);
      await store.reserve([group(8, 1, c)]);
      expect((await store.reserve([group(1, 1, { ...c, limit: 5 })])).kind).toBe('refused');
      expect((await store.reserve([group(1, 1, counter(0))])).kind).toBe('refused');
      expect(granted(await store.reserve([group(9, 1, { ...c, limit: 10 })]))).toEqual([2]);
    });

    it('counts exactly up to 2^52 and never past it', async () => {
      const c = counter(null);
      const most = MAX_UNITS;
      expect(granted(await store.reserve([group(most - 2, 1, c)]))).toEqual([most - 2]);
      expect(granted(await store.reserve([group(1, 1, c)]))).toEqual([1]);
      expect(granted(await store.reserve([group(5, 1, c)]))).toEqual([1]);
      expect(await usedOf(store, c)).toEqual([most]);
      expect((await store.reserve([group(1, 1, c)])).kind).toBe('refused');
    });

    it('gives refunded units to whoever comes next', async () => {
      const c = counter(10);
      const lease = leaseOf(await store.reserve([group(10, 1, c)]));
      await store.refund(lease, [{ units: 4, counters: [c] }]);
      expect(granted(await fixture.other.reserve([group(10, 1, c)]))).toEqual([4]);
    });

    it('never takes back more than the slice holds', async () => {
      const c = counter(10);
      const lease = leaseOf(await store.reserve([group(3, 1, c)]));
      await store.refund(lease, [{ units: 9, counters: [c] }]);
      expect(await store.usage([c])).toEqual([{ used: 0, nextFreeInMs: undefined }]);
      expect(granted(await store.reserve([group(99, 1, c)]))).toEqual([10]);
    });

    it('ignores a refund to a slice that is gone, whatever was counted since', async () => {
      const c = counter(10, 1000);
      const lease = leaseOf(await store.reserve([group(10, 1, c)]));
      await fixture.pass(shapeOf(1000).horizonMs + 40);
      await store.reserve([group(6, 1, c)]);
      await store.refund(lease, [{ units: 10, counters: [c] }]);
      expect(await usedOf(store, c)).toEqual([6]);
    });

    it('takes a refund out of the slice between others, once', async () => {
      const c = counter(100, 1000);
      const leases = [];
      for (const units of [1, 2, 4]) {
        leases.push(leaseOf(await store.reserve([group(units, units, c)])));
        await fixture.pass(100);
      }
      await store.refund(leases[1] as (typeof leases)[number], [{ units: 2, counters: [c] }]);
      await store.refund(leases[1] as (typeof leases)[number], [{ units: 2, counters: [c] }]);
      expect(await usedOf(store, c)).toEqual([5]);
      await store.refund(leases[0] as (typeof leases)[number], [{ units: 1, counters: [c] }]);
      const [state] = await store.usage([c]);
      expect(state?.used).toBe(4);
      // The oldest that is left is the third.
      expect(state?.nextFreeInMs).toBeGreaterThan(1000);
    });

    it('lets the window slide: units leave one slice at a time, not before window and lease life are over', async () => {
      const c = counter(3, 1000);
      await store.reserve([group(2, 1, c)]);
      await fixture.pass(400);
      await store.reserve([group(1, 1, c)]);
      const refused = await store.reserve([group(1, 1, c)]);
      expect(refused.kind).toBe('refused');
      const waitMs = refused.groups[0]?.counters[0]?.nextFreeInMs as number;
      expect(waitMs).toBeGreaterThan(1000 + leaseLifeMs(1000) - 400 - 200);
      expect(waitMs).toBeLessThanOrEqual(1000 + leaseLifeMs(1000) + shapeOf(1000).sliceMs - 400);
      await fixture.pass(waitMs + 5);
      expect(granted(await store.reserve([group(9, 1, c)]))).toEqual([2]);
    });

    it('tells how long a grant may be delivered: less than what the shortest window accounts for', async () => {
      const answer = await store.reserve([group(1, 1, counter(5, 60_000), counter(5, 3_600_000))]);
      expect(leaseOf(answer).validForMs).toBeLessThan(leaseLifeMs(60_000));
      expect(leaseOf(answer).validForMs).toBeGreaterThan(0);
    });

    it('reads usage without counting', async () => {
      const [used, fresh] = [counter(10), counter(10)];
      await store.reserve([group(4, 1, used)]);
      const states = await store.usage([used, fresh]);
      expect(states[0]?.nextFreeInMs).toBeGreaterThan(3_500_000);
      expect(states[1]).toEqual({ used: 0, nextFreeInMs: undefined });
      expect(await usedOf(store, used)).toEqual([4]);
    });

    it('says once a key and lifetime, over all processes', async () => {
      serial += 1;
      const answers = await Promise.all([store.once(`e${serial}`, 400), fixture.other.once(`e${serial}`, 400), store.once(`e${serial}`, 400)]);
      expect(answers.filter(Boolean)).toHaveLength(1);
      await fixture.pass(450);
      expect(await store.once(`e${serial}`, 400)).toBe(true);
    });

    it('rejects malformed requests before anything is counted', async () => {
      const c = counter(10);
      const bad: ReserveGroup[][] = [
        [group(1, 1, c, c)],
        [group(1, 1, c), group(1, 1, c)],
        [group(0, 0, c)],
        [group(1, 2, c)],
        [group(1.5, 1, c)],
        [group(Number.NaN, 1, c)],
        [group(2 ** 53, 1, c)],
        [group(1, 1, { ...c, windowMs: 3 })],
        [group(1, 1, { ...c, limit: -1 })],
        [group(1, 1, { ...c, key: '' })],
      ];
      for (const groups of bad) await expect(store.reserve(groups)).rejects.toThrow(RangeError);
      await expect(store.refund({ grantedAtMs: 1, validForMs: 1 }, [{ units: -1, counters: [c] }])).rejects.toThrow(RangeError);
      expect(await usedOf(store, c)).toEqual([0]);
    });

    it('admits exactly the limit of different people to 100 parallel calls of two processes, and those again', async () => {
      const c = people(50);
      const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => (i % 2 === 0 ? store : fixture.other).admit([c], hashesOf([`p${i}`]))));
      expect(answers.filter(({ admitted }) => admitted === 1)).toHaveLength(50);
      const inside = answers.flatMap(({ admitted }, i) => (admitted === 1 ? [`p${i}`] : []));
      expect((await fixture.other.admit([c], hashesOf([...inside, 'new']))).admitted).toBe(50);
      expect(await usedOf(store, c)).toEqual([50]);
    });

    it('admits people as the plain model does, over windows that pass', async () => {
      const c = people(6, 500);
      const model = new PeopleModel(c);
      let seed = 7;
      const next = (below: number): number => (seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648) % below;
      for (let round = 0; round < 120; round += 1) {
        const asked = [...new Set(Array.from({ length: 1 + next(5) }, () => `p${next(16)}`))];
        const answer = await (next(2) === 0 ? store : fixture.other).admit([c], hashesOf(asked));
        expect(answer.admitted).toBe(model.expected(answer.lease.grantedAtMs, asked));
        model.take(asked, answer);
        const taken = asked.slice(0, answer.admitted).filter((_, i) => answer.fresh[i] === 1).slice(0, next(2));
        if (taken.length > 0) await store.dismiss(answer.lease, [{ people: hashesOf(taken), counters: [c] }]);
        for (const person of taken) model.dismiss(person, answer.lease.grantedAtMs);
        await fixture.pass(next(40));
      }
      expect(model.worstInterval()).toBeLessThanOrEqual(6);
      expect(model.grants.length).toBeGreaterThan(50);
    });

    it('takes nobody back who was admitted again', async () => {
      const c = people(5);
      const first = await store.admit([c], hashesOf(['a', 'b']));
      await fixture.other.admit([c], hashesOf(['a']));
      await store.dismiss(first.lease, [{ people: hashesOf(['a', 'b']), counters: [c] }]);
      expect(await usedOf(store, c)).toEqual([1]);
      expect((await store.admit([c], hashesOf(['a']))).fresh).toEqual([0]);
    });

    it('says of each of many people in which counters they were new, and grants in order up to the first limit', async () => {
      const [hour, day] = [people(350), people(10_000, 600_000)] as const;
      const names = Array.from({ length: 400 }, (_, i) => `n${i}`);
      await fixture.other.admit([day], hashesOf(names.filter((_, i) => i % 3 === 0)));
      await fixture.pass(5);
      const first = await store.admit([hour, day], hashesOf(names.slice(0, 300)));
      expect(first.fresh).toEqual(names.slice(0, 300).map((_, i) => (i % 3 === 0 ? 1 : 3)));
      // At once, and when time has passed.
      expect((await fixture.other.admit([hour, day], hashesOf(names.slice(0, 150)))).fresh).toEqual(Array.from({ length: 150 }, () => 0));
      await fixture.pass(5);
      expect((await fixture.other.admit([hour, day], hashesOf(names.slice(150, 299)))).fresh).toEqual(Array.from({ length: 149 }, () => 0));
      await store.dismiss(first.lease, [{ people: hashesOf(names.slice(0, 300)), counters: [hour, day] }]);
      expect(await usedOf(store, hour, day)).toEqual([299, 134 + 199]);
      await fixture.pass(5);
      expect(await store.admit([hour, day], hashesOf(names.slice(290)))).toMatchObject({ admitted: 60, refused: 0, counters: [{ used: 350 }, {}] });
    });

    it('counts people and units together', async () => {
      const c = people(10);
      const lease = leaseOf(await store.reserve([group(6, 6, c)]));
      expect(await fixture.other.admit([c], hashesOf(['a', 'b', 'c', 'd', 'e']))).toMatchObject({ admitted: 4, refused: 0, counters: [{ used: 10 }] });
      expect((await store.reserve([group(1, 1, c)])).kind).toBe('refused');
      await store.refund(lease, [{ units: 2, counters: [c] }]);
      expect((await store.admit([c], hashesOf(['e', 'f', 'g']))).admitted).toBe(2);
    });

    it('has one secret for all processes', async () => {
      expect((await store.subjectSecret()).equals(await fixture.other.subjectSecret())).toBe(true);
      expect((await store.subjectSecret()).length).toBe(32);
    });

    it('keeps counters apart whose keys are alike', async () => {
      const odd = [counter(5, 60_000, 'a'), counter(5, 60_000, 'a:'), counter(5, 60_000, 'ä{x}')];
      await store.reserve([group(3, 1, odd[0] as Counter)]);
      expect(await usedOf(store, ...odd)).toEqual([3, 0, 0]);
    });
  });
}
