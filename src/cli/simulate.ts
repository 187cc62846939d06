import { writeFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { Command, InvalidArgumentError } from 'commander';
import { compilePolicy } from '../policy/compile.ts';
import { readConfigFile } from './config-file.ts';
import { findAuditFiles } from './history/audit-files.ts';
import { replayFiles } from './history/replay-files.ts';
import { simulationHtml } from './history/report-html.ts';
import { simulationText } from './history/report-text.ts';
import { Simulation, type SimulationResult } from './history/simulation.ts';

interface Options {
  readonly config: string;
  readonly audit: readonly string[];
  readonly json?: true;
  readonly html?: string;
  readonly top: number;
}

export function simulateCommand(): Command {
  return new Command('simulate')
    .description('replay the recorded past against a policy: who would have been blocked or flagged, when first and by which rule')
    .requiredOption('-c, --config <file>', 'the policy to try')
    .requiredOption('--audit <pattern...>', "audit files, e.g. 'audit/*.ndjson' (.gz too)")
    .option('--json', 'print the result as JSON')
    .option('--html <file>', 'write a report with plots')
    .option('--top <n>', 'people to list', positive, 25)
    .addHelpText('after', `
Quotas and the rule for logins in no role are replayed, with the product's own sliding windows. Not replayed: deny lists, since a
record does not say what a statement would have been denied for; grants; and what people would have done after being stopped.
Membership of PostgreSQL roles ({ pg_role: ... }) is taken from the roles that each record lists.`)
    .action(async (options: Options) => {
      process.exitCode = await run(options);
    });
}

export function positive(value: string): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1) throw new InvalidArgumentError('expected a whole number of at least 1.');
  return number;
}

async function run(options: Options): Promise<number> {
  const read = readConfigFile(options.config);
  if (!read.ok) {
    for (const problem of read.problems) process.stderr.write(`${problem}\n`);
    return 1;
  }
  let files;
  try {
    files = findAuditFiles(options.audit);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
  const simulation = new Simulation(compilePolicy(read.config));
  const startMs = performance.now();
  const progress = await replayFiles(files, 'replaying', (deed) => void simulation.take(deed));
  const seconds = (performance.now() - startMs) / 1000;
  const result = simulation.finish();
  if (options.html !== undefined) writeFileSync(options.html, simulationHtml(result, `What ${options.config} would have done`));
  process.stdout.write(options.json === true ? `${JSON.stringify(asJson(result), undefined, 2)}\n` : `${simulationText(result, options.top)}\n`);
  process.stderr.write(`${progress.lines} records of ${files.paths.length} ${files.paths.length === 1 ? 'file' : 'files'} in ${seconds.toFixed(1)} s (${Math.round(progress.lines / Math.max(seconds, 0.001))} a second)${unreadable(progress.unreadable)}\n`);
  return 0;
}

export function unreadable(lines: number): string {
  return lines === 0 ? '' : `; ${lines} ${lines === 1 ? 'line is' : 'lines are'} no JSON and ${lines === 1 ? 'was' : 'were'} left out`;
}

/** Without the series, which are for plots; times as ISO 8601. */
function asJson(result: SimulationResult): unknown {
  const iso = (timeMs: number | undefined): string | null => (timeMs === undefined || !Number.isFinite(timeMs) ? null : new Date(timeMs).toISOString());
  const { use, people, rules, fromMs, toMs, ...totals } = result;
  return {
    from: iso(fromMs),
    to: iso(toMs),
    ...totals,
    rules: rules.map(({ firstMs, ...rule }) => ({ ...rule, first: iso(firstMs) })),
    people: people.map(({ inForce, simulated, ...person }) => ({
      ...person,
      inForce: { ...inForce, firstMs: undefined, first: iso(inForce.firstMs) },
      simulated: { ...simulated, firstMs: undefined, first: iso(simulated.firstMs) },
    })),
    highestUse: use.map((each) => ({ ruleId: each.ruleId, limit: each.limit, used: Math.max(0, ...each.hours.map((point) => point.most)) })),
  };
}
