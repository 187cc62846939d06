import { Command, InvalidArgumentError } from 'commander';
import { compilePolicy } from '../policy/compile.ts';
import { readConfigFile } from './config-file.ts';
import { findAuditFiles, type AuditFiles } from './history/audit-files.ts';
import type { Deed } from './history/deed.ts';
import { policyOfThePast } from './history/members.ts';
import { Replay } from './history/replay.ts';
import { replayFiles } from './history/replay-files.ts';
import { percent } from './history/report-text.ts';
import { HabitSurvey, policyOf, roundUp, type SuggestedLimit, type Suggestion } from './history/suggestion.ts';
import { unreadable } from './simulate.ts';

interface Options {
  readonly audit: readonly string[];
  readonly config?: string;
  readonly quantile: number;
  readonly margin: number;
  readonly json?: true;
}

/** More than this share of honest statements refused, and the limits are raised. */
const MOST_REFUSED = 0.001;
const MOST_ROUNDS = 6;

export function suggestCommand(): Command {
  return new Command('suggest')
    .description('propose limits per role and window from the recorded past, as YAML to paste')
    .requiredOption('--audit <pattern...>', "audit files, e.g. 'audit/*.ndjson' (.gz too)")
    .option('-c, --config <file>', 'take roles and classes from this policy instead of from the records')
    .option('--quantile <q>', 'share of person-days that must fit', share, 0.999)
    .option('--margin <percent>', 'room above that', percentage, 0.25)
    .option('--json', 'print the numbers as JSON')
    .addHelpText('after', `
Logins that take far more than the others of their role are named and left out of the numbers: look at them before you raise a
limit for them. The limits are then tried on the same records; if more than 0.1 % of the others' statements were refused, they are raised.`)
    .action(async (options: Options) => {
      process.exitCode = await run(options);
    });
}

async function run(options: Options): Promise<number> {
  let rolesOf = (deed: Deed): readonly string[] => deed.roles;
  let classes: readonly string[] | undefined;
  if (options.config !== undefined) {
    const read = readConfigFile(options.config);
    if (!read.ok) {
      for (const problem of read.problems) process.stderr.write(`${problem}\n`);
      return 1;
    }
    const policy = compilePolicy(read.config);
    const memberOf = policyOfThePast(policy);
    rolesOf = (deed) => memberOf(deed).roles;
    classes = [...policy.classes.keys()];
  }
  let files;
  try {
    files = findAuditFiles(options.audit);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
  const survey = new HabitSurvey(rolesOf, classes);
  const progress = await replayFiles(files, 'reading', (deed) => survey.take(deed));
  const raw = survey.suggest(options);
  const tried = await fit(raw, files, rolesOf);
  process.stdout.write(options.json === true ? `${JSON.stringify(tried, undefined, 2)}\n` : suggestionYaml(tried, options));
  if (progress.unreadable > 0) process.stderr.write(`${progress.lines} records${unreadable(progress.unreadable)}\n`);
  return 0;
}

interface Tried extends Suggestion {
  readonly honestStatements: number;
  readonly refused: number;
}

/** Tries the limits on the past and raises those that refuse too much. */
async function fit(suggestion: Suggestion, files: AuditFiles, rolesOf: (deed: Deed) => readonly string[]): Promise<Tried> {
  let { limits } = suggestion;
  for (let round = 1; ; round++) {
    let honestStatements = 0;
    let refused = 0;
    const byRule = new Map<string, number>();
    const replay = new Replay(policyOf(limits, rolesOf), { reading: () => undefined });
    await replayFiles(files, 'trying', (deed) => {
      if (suggestion.outliers.some((each) => each.principal === deed.principal)) return;
      honestStatements++;
      const outcome = replay.take(deed);
      if (outcome.decision !== 'block' || outcome.ruleId === undefined) return;
      refused++;
      byRule.set(outcome.ruleId, (byRule.get(outcome.ruleId) ?? 0) + 1);
    });
    if (refused < MOST_REFUSED * honestStatements || refused === 0 || round === MOST_ROUNDS) return { ...suggestion, limits, honestStatements, refused };
    limits = limits.map((limit) => (byRule.has(ruleIdOf(limit)) ? { ...limit, limit: roundUp(Math.max(limit.highest * 1.05, limit.limit * 1.2)) } : limit));
  }
}

function ruleIdOf(limit: SuggestedLimit): string {
  return `${limit.role}/${limit.className}/${limit.dimension}/${limit.windowText}`;
}

function suggestionYaml(tried: Tried, options: Options): string {
  const lines = [
    `# Tried on the same records: ${tried.refused} of ${tried.honestStatements} statements of the people below would be refused (${percent(tried.refused, tried.honestStatements)}).`,
    `# Limit: the use that ${options.quantile * 100} % of person-days stay within, and ${Math.round(options.margin * 100)} % more, rounded up.`,
  ];
  for (const outlier of tried.outliers) {
    lines.push(`# Left out, look at it: ${outlier.principal} (${outlier.role}) takes ${outlier.typical} of "${outlier.className}" where ${outlier.median} is usual.`);
  }
  if (tried.tooLong.length > 0) lines.push(`# No limits for ${tried.tooLong.join(' and ')}: the records do not reach back far enough to tell what people need in that time.`);
  lines.push('roles:');
  const roles = [...new Set(tried.limits.map((limit) => limit.role))].toSorted();
  if (roles.length === 0) lines.push('  {} # no statement of a member of a role reached a class');
  for (const role of roles) {
    lines.push(`  ${JSON.stringify(role)}:`, '    quotas:');
    for (const limit of tried.limits.filter((each) => each.role === role)) {
      lines.push(
        `      # ${limit.people} people, ${limit.days} person-days: half stay within ${limit.median}, ${options.quantile * 100} % within ${limit.quantile}, highest ${limit.highest}`,
        `      - { class: ${JSON.stringify(limit.className)}, window: ${limit.windowText}, ${limit.dimension}: ${limit.limit}, action: block }`,
      );
    }
  }
  return `${lines.join('\n')}\n`;
}

function share(value: string): number {
  const number = Number(value);
  if (!(number > 0 && number <= 1)) throw new InvalidArgumentError('expected a number above 0 and up to 1.');
  return number;
}

function percentage(value: string): number {
  const number = Number(value.replace(/%$/, ''));
  if (!(number >= 0 && number <= 1000)) throw new InvalidArgumentError('expected a percentage from 0 to 1000.');
  return number / 100;
}
