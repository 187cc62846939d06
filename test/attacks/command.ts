/**
 * `npm run attacks`: carries out every technique against a bare PostgreSQL and through Rowgate, and prints how many customers each
 * brought. Ends with 1 if one brought more than its quota allows, or none from the bare server where it should.
 *
 *   --json, --markdown   another form of the table
 *   --only TEXT          techniques whose name, group, class or suite contains the text
 *   --spent N            every technique starts with N units of its quota used up already (197 leaves 3)
 *   --processes N        Rowgate processes that share a Redis, connections going to them in turn
 */

import { parseArgs } from 'node:util';
import { carryOut, QUOTA, startBed, type Attack, type AttackSuite } from '../support/attack.ts';
import { SUITES } from './suites.ts';

interface Row {
  readonly technique: string;
  readonly group: string;
  readonly class: string;
  readonly role: string;
  readonly suite: string;
  readonly direct: number;
  readonly through: number;
  readonly quota: number;
  readonly verdict: 'bounded' | 'LEAK' | 'DOES NOT WORK';
}

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    markdown: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true, default: [] },
    spent: { type: 'string', default: '0' },
    processes: { type: 'string' },
  },
});
const spentBefore = Number(options.spent);
if (!Number.isInteger(spentBefore) || spentBefore < 0 || spentBefore > QUOTA) throw new Error(`--spent takes a whole number from 0 to ${QUOTA}`);

const wanted = (suite: AttackSuite, attack: Attack): boolean => {
  const words = [suite.name, attack.group, attack.techniqueClass, attack.name].join(' ').toLowerCase();
  return options.only.length === 0 || options.only.some((word) => words.includes(word.toLowerCase()));
};

const line = (row: Row): string => `${String(row.direct).padStart(6)} ${String(row.through).padStart(8)} ${String(row.quota).padStart(6)}  ${row.verdict === 'bounded' ? ' ' : '!'} ${row.class.padEnd(22)} ${row.role.padEnd(6)} ${row.technique}`;

async function run(suite: AttackSuite): Promise<readonly Row[]> {
  const attacks = suite.attacks.filter((attack) => wanted(suite, attack));
  if (attacks.length === 0) return [];
  const bed = await startBed({ ...suite.bed, ...(options.processes === undefined ? {} : { processes: Number(options.processes) }) });
  const rows: Row[] = [];
  try {
    for (const { name, group, techniqueClass, role, technique, least, spent: own } of attacks) {
      const spent = Math.max(own, spentBefore);
      const quota = QUOTA - spent;
      const direct = (await carryOut(bed, role, true, technique, spent)).tokens;
      const through = (await carryOut(bed, role, false, technique, spent)).tokens;
      const verdict = through > quota ? 'LEAK' : direct < (least ?? quota + 1) ? 'DOES NOT WORK' : 'bounded';
      const row: Row = { technique: name, group, class: techniqueClass, role, suite: suite.name, direct, through, quota, verdict };
      rows.push(row);
      if (!options.json && !options.markdown) process.stdout.write(`${line(row)}\n`);
    }
  } finally {
    await bed.stop();
  }
  return rows;
}

if (!options.json && !options.markdown) process.stdout.write('direct  Rowgate  quota    class                  role   technique\n');
const rows: Row[] = [];
for (const suite of SUITES) rows.push(...(await run(suite)));

const techniques = new Set(rows.map((row) => `${row.group}\0${row.technique}`)).size;
const bad = rows.filter((row) => row.verdict !== 'bounded');
const most = rows.reduce((worst, row) => Math.max(worst, row.through), 0);
const taking = rows.filter((row) => row.direct > row.quota).length;
const summary = `${rows.length} runs of ${techniques} techniques in ${new Set(rows.map((row) => row.class)).size} classes; ${taking} take more than the quota from the bare server; through Rowgate at most ${most} customers; ${rows.filter((row) => row.verdict === 'LEAK').length} above the quota`;

if (options.json) {
  process.stdout.write(`${JSON.stringify({ rows, summary: { runs: rows.length, techniques, takingMoreDirectly: taking, mostThrough: most, leaks: bad.filter((row) => row.verdict === 'LEAK').length } }, undefined, 2)}\n`);
} else if (options.markdown) {
  process.stdout.write('| technique | class | role | customers from bare PostgreSQL | customers through Rowgate | quota |\n| --- | --- | --- | --: | --: | --: |\n');
  for (const row of rows) process.stdout.write(`| ${row.technique.replaceAll('|', '\\|')} | ${row.class} | ${row.role} | ${row.direct} | ${row.through}${row.verdict === 'bounded' ? '' : ` **${row.verdict}**`} | ${row.quota} |\n`);
  process.stdout.write(`\n${summary}\n`);
} else {
  process.stdout.write(`\n${summary}\n`);
}
for (const row of bad) process.stderr.write(`${row.verdict}: ${row.technique} [${row.role}] (${row.suite}): ${row.direct} directly, ${row.through} through Rowgate, quota ${row.quota}\n`);
// A run of nothing proves nothing.
process.exitCode = bad.length > 0 || rows.length === 0 ? 1 : 0;
