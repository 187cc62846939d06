import { expect, it } from 'vitest';
import { MemoryStore } from '../../../src/quota/memory-store.ts';
import { counter, describeStore, granted, group, usedOf } from './store-suite.ts';

function clockedStore(startMs = 1_000_000): { store: MemoryStore; step: (ms: number) => void } {
  let nowMs = startMs;
  return { store: new MemoryStore({ nowMs: () => nowMs }), step: (ms) => (nowMs += ms) };
}

describeStore('the memory store', () => {
  const { store, step } = clockedStore();
  return Promise.resolve({
    store,
    other: store,
    pass: (ms: number) => {
      step(ms);
      return Promise.resolve();
    },
    end: () => store.close(),
  });
});

it('frees nothing early when its clock steps back, and says that the wait is longer', async () => {
  const { store, step } = clockedStore();
  const c = counter(5, 60_000);
  await store.reserve([group(5, 1, c)]);
  step(-50_000);
  const refused = await store.reserve([group(1, 1, c)]);
  expect(refused.kind).toBe('refused');
  expect(refused.groups[0]?.counters[0]?.nextFreeInMs).toBeGreaterThan(60_000 + 50_000);
  step(65_000);
  expect((await store.reserve([group(1, 1, c)])).kind).toBe('refused');
  step(60_000);
  expect(granted(await store.reserve([group(9, 1, c)]))).toEqual([5]);
});

it('labels units by the high-water mark while its clock is behind, so that the clock\'s correction does not age them', async () => {
  const { store, step } = clockedStore();
  const [before, c] = [counter(5, 60_000), counter(5, 60_000)];
  await store.reserve([group(1, 1, before)]);
  step(-50_000);
  await store.reserve([group(5, 1, c)]);
  step(50_000);
  step(60_000);
  expect((await store.reserve([group(1, 1, c)])).kind).toBe('refused');
});

it('drops expired counters: as many principals as you like cost the memory of those in the window', async () => {
  const { store, step } = clockedStore();
  for (let i = 0; i < 20_000; i += 1) {
    await store.reserve([group(1, 1, counter(5, 1000, `p${i}`))]);
    step(10);
  }
  expect(store.size).toBeLessThanOrEqual(1025);
  expect(await usedOf(store, counter(5, 1000, 'p19999'))).toEqual([1]);
});
