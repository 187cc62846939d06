import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { SUITES } from '../../attacks/suites.ts';

const root = new URL('../../../', import.meta.url);
const text = readFileSync(new URL('docs/threat-model.md', root), 'utf8');
const section = text.split('\n## ').find((part) => part.startsWith('Side doors\n')) ?? '';
const rows = section.split('\n').filter((line) => line.startsWith('| ') && !line.startsWith('| door') && !line.startsWith('| ---')).map((line) => line.slice(2, -2).split(' | '));

describe('the side doors of docs/threat-model.md', () => {
  it.each([
    'pg_stats', 'pg_statistic', 'pg_stats_ext', 'pg_stat_activity', 'pg_largeobject', 'SHOW', 'EXPLAIN', 'sequences', 'logical decoding', 'replication', 'pg_read_', 'COPY to and from a file or program', 'dblink',
    'postgres_fdw', 'foreign tables', 'LOAD', 'ALTER SYSTEM', 'pg_get_expr',
  ])('tell of %s', (door) => {
    expect(rows.some(([doors]) => doors?.includes(door))).toBe(true);
  });

  it.each(rows)('%s: the verdict is one of three, and what holds it is there', (_door, verdict = '', held = '') => {
    expect(verdict).toMatch(/^(the same|charged|denied|harmless|reading is harmless|values of a class are always refused|their functions cost)/);
    const names = held.split(' · ');
    expect(names.length).toBeGreaterThan(0);
    for (const name of names) expect(isThere(name), `no test: ${name}`).toBe(true);
  });
});

/** `suite › attack`, or `test/path.test.ts › words of a test's name`. */
function isThere(reference: string): boolean {
  const [where = '', name = ''] = reference.split(' › ');
  if (name === '') return false;
  if (!where.startsWith('test/')) return SUITES.some((suite) => suite.name === where && suite.attacks.some((each) => each.name === name));
  const file = new URL(where, root);
  return existsSync(file) && readFileSync(file, 'utf8').includes(name);
}
