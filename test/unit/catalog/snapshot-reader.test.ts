import { expect, test } from 'vitest';
import { columnsInOrder } from '../../../src/catalog/snapshot-reader.ts';

test('columns are in the order of their numbers, in whatever order they lie in the catalog', () => {
  expect(columnsInOrder([1, [1, 2, 10], ['a', 'b', 'c'], [20, 25, 1043]])).toEqual({ relation: 1, attnums: [1, 2, 10], names: ['a', 'b', 'c'], types: [20, 25, 1043] });
  expect(columnsInOrder([1, [10, 1, 2], ['c', 'a', 'b'], [1043, 20, 25]])).toEqual({ relation: 1, attnums: [1, 2, 10], names: ['a', 'b', 'c'], types: [20, 25, 1043] });
});
