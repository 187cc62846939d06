import type { RowCost } from './types.ts';

/** A sum, count or average as people have use for it: what is longer may be many numbers in one. Text of 16 digits and the length field. */
const SMALL_VALUE_BYTES = 20;
/** One length field: every other byte may tell of somebody, and one column may hold what all calls gave. */
const LENGTH_BYTES = 4;
/** Bytes to a unit of what is packed, but proven to be of one person or of numbers that nobody has shaped. */
const PROVEN_UNIT_BYTES = 32;

/**
 * Units that one delivered row costs: an upper bound on how many of the class's rows it can describe. Called once a row, so it allocates nothing.
 *
 * Each rule is a floor under the next, so that no way of writing a statement makes a row cheaper than the plain one: a row
 * costs its width, or its bytes in units; where the statement aggregates, bytes of expressions cost as if packed (a sum of shifted numbers holds any number of
 * them), but for one small value a call where what is added up are stored columns; where a value may hold any number of rows, every byte does.
 */
export const rowCost: RowCost = (reach, cls, rowBytes, expressionBytes) => {
  const plain = Math.max(plainRowUnits(reach), Math.ceil(rowBytes / cls.unitBytes));
  const proven = Math.max(cls.packedUnitBytes, Math.min(PROVEN_UNIT_BYTES, cls.unitBytes));
  const most = reach.mostRows ?? Infinity;
  if (reach.packs) return Math.max(plain, Math.min(most, Math.ceil(rowBytes / (reach.onePerson === true ? proven : cls.packedUnitBytes))));
  if (!reach.aggregated) return plain;
  if (reach.plainSums === true) return Math.max(plain, Math.min(most, Math.ceil((expressionBytes - Math.max(1, reach.calls) * SMALL_VALUE_BYTES) / proven)));
  return Math.max(plain, Math.min(most, Math.ceil((expressionBytes - LENGTH_BYTES) / cls.packedUnitBytes)));
};

/** Rows up to this many bytes cost their width, whatever is in them; undefined where it depends on what is. */
export function plainRowBytes(reach: Parameters<RowCost>[0], cls: Parameters<RowCost>[1]): number | undefined {
  return reach.packs || reach.aggregated ? undefined : plainRowUnits(reach) * cls.unitBytes;
}

export function plainRowUnits(reach: Parameters<RowCost>[0]): number {
  return Math.max(1, reach.width);
}
