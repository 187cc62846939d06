import type { RowCost } from './types.ts';

/**
 * Units that one delivered row costs: an upper bound on how many of the class's rows it can describe. Called once a row.
 *
 * Each rule is a floor under the next, so that no way of writing a statement makes a row cheaper than the plain one: a row
 * costs its width, or its bytes in units; an aggregate's bytes beyond one small value a column cost as if packed; where a value may
 * hold any number of rows, every byte does.
 */
export const rowCost: RowCost = (reach, cls, rowBytes, columns) => {
  const plain = Math.max(1, reach.width, Math.ceil(rowBytes / cls.unitBytes));
  if (reach.packs) return Math.max(plain, Math.ceil(rowBytes / cls.packedUnitBytes));
  if (reach.aggregated) return Math.max(plain, Math.ceil((rowBytes - columns * cls.packedUnitBytes) / cls.packedUnitBytes));
  return plain;
};
