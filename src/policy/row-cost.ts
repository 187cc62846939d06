import type { RowCost } from './types.ts';

/** A sum, count or average as people have use for it: what is longer may be many numbers in one. Text of 16 digits and the length field. */
const SMALL_VALUE_BYTES = 20;

/**
 * Units that one delivered row costs: an upper bound on how many of the class's rows it can describe. Called once a row, so it allocates nothing.
 *
 * Each rule is a floor under the next, so that no way of writing a statement makes a row cheaper than the plain one: a row
 * costs its width, or its bytes in units; where the statement aggregates, bytes of expressions beyond one small value a call cost as if
 * packed (a sum of shifted numbers holds any number of them); where a value may hold any number of rows, every byte does.
 */
export const rowCost: RowCost = (reach, cls, rowBytes, expressionBytes) => {
  const plain = Math.max(plainRowUnits(reach), Math.ceil(rowBytes / cls.unitBytes));
  if (reach.packs) return Math.max(plain, Math.ceil(rowBytes / cls.packedUnitBytes));
  if (reach.aggregated) return Math.max(plain, Math.ceil((expressionBytes - Math.max(1, reach.calls) * SMALL_VALUE_BYTES) / cls.packedUnitBytes));
  return plain;
};

/** Rows up to this many bytes cost their width, whatever is in them; undefined where it depends on what is. */
export function plainRowBytes(reach: Parameters<RowCost>[0], cls: Parameters<RowCost>[1]): number | undefined {
  return reach.packs || reach.aggregated ? undefined : plainRowUnits(reach) * cls.unitBytes;
}

export function plainRowUnits(reach: Parameters<RowCost>[0]): number {
  return Math.max(1, reach.width);
}
