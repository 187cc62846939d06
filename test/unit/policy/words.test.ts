import { performance } from 'node:perf_hooks';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { globProblem, matchesGlob, qualifiedProblem } from '../../../src/policy/glob.ts';
import { editDistance, nearest } from '../../../src/policy/nearest.ts';
import { durationInWords, formatDuration, formatSize, parseDuration, parseSize } from '../../../src/policy/units.ts';

describe('durations', () => {
  it.each([['90s', 90_000], ['15m', 900_000], ['24h', 86_400_000], ['30d', 2_592_000_000]])('are read: %s', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it.each(['', '0s', '-1h', '1', '1.5h', '1 h', '1H', '1w', 'h', '01h', '1h ', '1h\n', '99999999999d'])('are refused: %j', (text) => {
    expect(parseDuration(text)).toBeUndefined();
  });

  it('survive being written and read', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 10_000_000 }), (seconds) => parseDuration(formatDuration(seconds * 1000)) === seconds * 1000));
  });

  it.each([[0, '1 second'], [1, '1 second'], [61_000, '61 seconds'], [120_001, '3 minutes'], [3_600_000, '60 minutes'], [7_200_001, '3 hours'], [30 * 86_400_000, '30 days']])(
    'of %d ms are told in words, rounded up',
    (ms, words) => {
      expect(durationInWords(ms)).toBe(words);
    },
  );
});

describe('sizes', () => {
  it.each([['512', 512], ['512B', 512], ['4KiB', 4096], ['1MiB', 1_048_576], ['1GiB', 1_073_741_824]])('are read: %s', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  it.each(['', '0', '-1', '4KB', '4kib', '4 KiB', '1.5MiB', '999999999999999GiB', '4KiB\n'])('are refused: %j', (text) => {
    expect(parseSize(text)).toBeUndefined();
  });

  it.each([[1, '1 B'], [1023, '1023 B'], [1536, '1.5 KiB'], [10 * 1024 ** 2, '10 MiB'], [1024 ** 3, '1 GiB']])('of %d bytes are told in words', (bytes, words) => {
    expect(formatSize(bytes)).toBe(words);
  });
});

describe('patterns', () => {
  it.each([
    ['agent', 'agent', true],
    ['agent', 'Agent', false],
    ['agent_*', 'agent_7', true],
    ['agent_*', 'agent_', true],
    ['agent_*', 'my_agent_7', false],
    ['a?c', 'abc', true],
    ['a?c', 'ac', false],
    ['?', '\u{1F600}', true],
    ['*', '', true],
    ['*a*b', 'xaxbxab', true],
    ['*a*b', 'xaxbx', false],
    ['a.c', 'abc', false],
    ['*.customers', 'crm.customers', true],
  ])('%s against %s: %s', (pattern, text, expected) => {
    expect(matchesGlob(pattern, text)).toBe(expected);
  });

  it('agree with the same pattern as a regular expression', () => {
    const word = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?', '.'), maxLength: 12 });
    fc.assert(
      fc.property(word, fc.string({ unit: fc.constantFrom('a', 'b', '.'), maxLength: 12 }), (pattern, text) => {
        const source = pattern.replaceAll('.', '\\.').replaceAll('*', '.*').replaceAll('?', '.');
        return matchesGlob(pattern, text) === new RegExp(`^${source}$`).test(text);
      }),
    );
  });

  it('do not explode', () => {
    const start = performance.now();
    expect(matchesGlob('*a'.repeat(30) + 'b', 'a'.repeat(20_000))).toBe(false);
    expect(performance.now() - start).toBeLessThan(2000);
  });

  it.each(['', ' a', 'a[1]', 'a{b}', 'a!b', 'a\\b', 'a\nb', 'x'.repeat(64), '\u00e4'.repeat(32)])('are refused: %j', (pattern) => {
    expect(globProblem(pattern)).toBeDefined();
  });

  it.each(['agent', 'agent_*', 'first.last@example.com', '$service', 'x'.repeat(63)])('are accepted: %j', (pattern) => {
    expect(globProblem(pattern)).toBeUndefined();
  });

  it.each(['customers', '.customers', 'crm.', 'a.b.c', 'crm.[a]', 'crm. x'])('of relations are refused: %j', (pattern) => {
    expect(qualifiedProblem(pattern)).toBeDefined();
  });
});

describe('the nearest word', () => {
  const words = ['quotas', 'members', 'deny', 'contact', 'replication', 'errors'];
  it.each([['quota', 'quotas'], ['qoutas', 'quotas'], ['Members', 'members'], ['dney', 'deny'], ['replicaton', 'replication'], ['colour', undefined], ['x', undefined]])('to %s is %s', (word, expected) => {
    expect(nearest(word, words)).toBe(expected);
  });

  it.each([['', 'abc', 3], ['abc', 'abc', 0], ['abc', 'acb', 1], ['kitten', 'sitting', 3]])('counts edits: %s, %s: %d', (a, b, distance) => {
    expect(editDistance(a, b)).toBe(distance);
  });
});
