import fc from 'fast-check';
import { expect, it } from 'vitest';
import { packTexts, personText, personTexts, PersonTable, wordsOf } from '../../../src/quota/person-table.ts';

/** Hashes that meet in the table as often as can be: few first words, and others that differ in one word only. */
const hash = fc.tuple(fc.constantFrom(0, 1, 8, -1, 2 ** 31 - 1), fc.nat(2), fc.nat(2), fc.nat(2)).map((words) => Buffer.from(Int32Array.from(words).buffer).toString('latin1'));

it('finds whoever is in it and nobody else, by the order in which they came, however many meet', () => {
  fc.assert(
    fc.property(fc.array(fc.array(hash, { maxLength: 200 }), { minLength: 1, maxLength: 3 }), hash, (batches, other) => {
      const table = new PersonTable();
      for (const people of batches) {
        const model = new Map<string, number>();
        const words = wordsOf(packTexts(people));
        for (const [i, person] of people.entries()) {
          if (!model.has(person)) model.set(person, model.size);
          expect(table.add(words, 4 * i)).toBe(model.get(person));
          expect(table.size).toBe(model.size);
        }
        for (const [i, person] of people.entries()) expect(table.find(words, 4 * i)).toBe(model.get(person));
        expect(table.find(wordsOf(packTexts([other])), 0)).toBe(model.get(other) ?? -1);
        expect(table.room).toBeGreaterThanOrEqual(table.size);
        table.clear();
      }
    }),
  );
});

it('reads hashes wherever they lie', () => {
  const people = ['0123456789abcdef', 'ÿ123456789abcde\0'];
  const packed = packTexts(people);
  expect(personTexts(packed)).toEqual(people);
  for (const shift of [0, 1, 3]) {
    const moved = Buffer.concat([Buffer.alloc(shift), packed]).subarray(shift);
    expect(wordsOf(moved)).toEqual(wordsOf(packed));
    expect(personText(moved, 1)).toBe(people[1]);
  }
});
