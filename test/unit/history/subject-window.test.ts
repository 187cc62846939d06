import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SubjectWindow } from '../../../src/cli/history/subject-window.ts';

/** Plain and obviously right. */
class Model {
  readonly windowMs: number;
  readonly most: number;
  readonly seen = new Map<string, number>();

  constructor(windowMs: number, most: number) {
    this.windowMs = windowMs;
    this.most = most;
  }

  count(nowMs: number): number {
    for (const [key, atMs] of this.seen) if (atMs <= nowMs - this.windowMs) this.seen.delete(key);
    return this.seen.size;
  }

  fresh(keys: readonly string[]): number {
    return keys.filter((key) => !this.seen.has(key)).length;
  }

  add(keys: readonly string[], newOnes: number, nowMs: number): void {
    let left = Math.min(newOnes, this.most - this.seen.size);
    for (const key of keys) if (this.seen.has(key) || left-- > 0) this.seen.set(key, nowMs);
  }
}

const step = fc.record({ waitMs: fc.integer({ min: 0, max: 400 }), keys: fc.uniqueArray(fc.integer({ min: 0, max: 60 }).map((n) => `key-${n}`), { maxLength: 12 }), newOnes: fc.integer({ min: 0, max: 12 }) });

describe('people in a sliding window', () => {
  test('are counted as a plain model counts them', () => {
    fc.assert(fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 40 }), (steps, most) => {
      const window = new SubjectWindow(1000, most);
      const model = new Model(1000, most);
      let nowMs = 0;
      for (const { waitMs, keys, newOnes } of steps) {
        nowMs += waitMs;
        expect(window.count(nowMs)).toBe(model.count(nowMs));
        expect(window.fresh(keys)).toBe(model.fresh(keys));
        window.add(keys, newOnes, nowMs);
        model.add(keys, newOnes, nowMs);
      }
      expect(window.count(nowMs)).toBe(model.count(nowMs));
    }));
  });

  test('of a hundred thousand keys none is taken for another', () => {
    const window = new SubjectWindow(1000, Infinity);
    for (let n = 0; n < 100_000; n++) {
      const keys = [n.toString(16).padStart(32, '0'), Buffer.from(`person ${n}`).toString('base64url')];
      expect(window.fresh(keys)).toBe(2);
      window.add(keys, 2, 0);
    }
    expect(window.count(0)).toBe(200_000);
  });

  test('take 32 bytes each, a growing table twice that', () => {
    const before = process.memoryUsage().arrayBuffers;
    const windows = Array.from({ length: 100 }, () => {
      const window = new SubjectWindow(1000, Infinity);
      for (let n = 0; n < 4096; n++) window.add([`person ${n}`], 1, n);
      return window;
    });
    expect(windows.reduce((sum, window) => sum + window.count(0), 0)).toBe(409_600);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(100 * 4096 * 32 * 2.5);
  });
});
