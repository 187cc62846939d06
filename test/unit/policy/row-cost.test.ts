import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { plainRowBytes, plainRowUnits, rowCost } from '../../../src/policy/row-cost.ts';
import type { CompiledClass } from '../../../src/policy/types.ts';
import { classReach } from './fixtures.ts';

const CLASS: CompiledClass = { name: 'customers', relations: [], functions: [], unitBytes: 1024, packedUnitBytes: 32 };

describe('a row\'s cost', () => {
  it.each([
    ['a small row', {}, 100, 3, 1],
    ['an empty row', {}, 0, 0, 1],
    ['a full unit', {}, 1024, 3, 1],
    ['a byte more', {}, 1025, 3, 2],
    ['a join of three', { width: 3 }, 100, 3, 3],
    ['a wide row of a join', { width: 3 }, 10_000, 3, 10],
    ['a packed row', { packs: true }, 3200, 1, 100],
    ['a small packed row of a join', { packs: true, width: 4 }, 10, 1, 4],
    ['small values of stored columns', { aggregated: true, calls: 2, plainSums: true }, 60, 40, 1],
    ['a long value of stored columns', { aggregated: true, calls: 1, plainSums: true }, 3264, 3220, 100],
    ['small values that may have been shaped', { aggregated: true, calls: 2 }, 60, 36, 1],
    ['values that may have been shaped', { aggregated: true, calls: 2 }, 60, 40, 2],
    ['a long value that may have been shaped', { aggregated: true, calls: 1 }, 3264, 3204, 100],
    ['a packed row of one person', { packs: true, aggregated: true, onePerson: true }, 3200, 1, 100],
    ['a packed aggregate', { aggregated: true, packs: true }, 3200, 2, 100],
    ['an aggregate beside long keys', { aggregated: true, calls: 1 }, 600, 12, 1],
  ])('of %s', (_name, reach, bytes, columns, cost) => {
    expect(rowCost(classReach(reach), CLASS, bytes, columns)).toBe(cost);
  });

  it('of a packed row that is proven to be of one person is a unit for 32 bytes where other packed rows cost one for 4', () => {
    const small = { ...CLASS, packedUnitBytes: 4 };
    expect(rowCost(classReach({ packs: true, aggregated: true }), small, 320, 320)).toBe(80);
    expect(rowCost(classReach({ packs: true, aggregated: true, onePerson: true }), small, 320, 320)).toBe(10);
    expect(rowCost(classReach({ aggregated: true, calls: 1 }), small, 30, 12)).toBe(2);
    expect(rowCost(classReach({ aggregated: true, calls: 1, plainSums: true }), small, 30, 12)).toBe(1);
  });

  it('is a whole number, at least one, at least the width, and never less for more bytes or for packing', () => {
    const reaches = fc.record({ width: fc.integer({ min: 1, max: 50 }), packs: fc.boolean(), aggregated: fc.boolean() });
    fc.assert(
      fc.property(reaches, fc.nat(5_000_000), fc.nat(1000), fc.nat(1600), (reach, bytes, more, columns) => {
        const expressions = Math.min(bytes, columns);
        const cost = rowCost(classReach(reach), CLASS, bytes, expressions);
        expect(Number.isSafeInteger(cost)).toBe(true);
        expect(cost).toBeGreaterThanOrEqual(Math.max(1, reach.width));
        expect(rowCost(classReach(reach), CLASS, bytes + more, expressions)).toBeGreaterThanOrEqual(cost);
        expect(rowCost(classReach({ ...reach, packs: true }), CLASS, bytes, expressions)).toBeGreaterThanOrEqual(cost);
        expect(cost).toBeGreaterThanOrEqual(rowCost(classReach({ width: reach.width }), CLASS, bytes, expressions));
      }),
    );
  });

  it('is the width for every row that is said to cost no more, and only for statements without values of any number of rows', () => {
    fc.assert(
      fc.property(fc.record({ width: fc.integer({ min: 0, max: 50 }), packs: fc.boolean(), aggregated: fc.boolean() }), fc.double({ min: 0, max: 1, noNaN: true }), (reach, part) => {
        const largest = plainRowBytes(classReach(reach), CLASS);
        expect(largest === undefined).toBe(reach.packs || reach.aggregated);
        if (largest === undefined) return;
        const bytes = Math.floor(largest * part);
        expect(rowCost(classReach(reach), CLASS, bytes, bytes)).toBe(plainRowUnits(classReach(reach)));
      }),
    );
  });
});
