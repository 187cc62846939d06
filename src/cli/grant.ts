import { Command, InvalidArgumentError } from 'commander';
import type { GrantView } from '../admin/providers.ts';
import { durationInWords, formatSize, parseDuration, parseSize } from '../policy/units.ts';
import { addAdminOptions, AdminError, adminTarget, askAdmin, isRecord, reporting, type AdminOptions } from './admin-client.ts';
import { plainTable } from './history/report-text.ts';

interface GrantOptions extends AdminOptions {
  readonly class?: string;
  readonly rows?: number;
  readonly subjects?: number;
  readonly bytes?: number;
  readonly for?: number;
  readonly reason?: string;
  readonly request?: true;
}

export function grantCommand(): Command {
  return withAmounts(addAdminOptions(new Command('grant').description('raise a login\'s limits for a while')))
    .argument('<login>', 'who gets it')
    .requiredOption('--reason <text>', 'why; stands in the audit log')
    .option('--request', 'ask for it only: another person approves it (rowgate approve)')
    .addHelpText('after', `
Added to every limit of the class in each window, and gone by itself when the time is over; what was taken meanwhile stays counted.
With admin.four_eyes: true every grant is a request. An employee may ask from any SQL client: SELECT rowgate.request('reason').`)
    .action((login: string, options: GrantOptions) => reporting(async () => {
      if (options.for === undefined) throw new AdminError('say for how long: --for 2h');
      const answer = await askAdmin(adminTarget(options), 'POST', '/v1/grants', { ...bodyOf(options), principal: login, reason: options.reason, request: options.request });
      tell(answer);
    }));
}

export function approveCommand(): Command {
  return withAmounts(addAdminOptions(new Command('approve').description('approve what somebody else asked for')))
    .argument('<request>', 'its id, as `rowgate grants` shows it')
    .addHelpText('after', `
Amounts, class and duration are those of the request where the options do not say otherwise. Neither who asked nor who would get it can approve.`)
    .action((id: string, options: GrantOptions) => reporting(async () => {
      tell(await askAdmin(adminTarget(options), 'POST', `/v1/grants/${encodeURIComponent(id)}/approve`, bodyOf(options)));
    }));
}

export function revokeCommand(): Command {
  return addAdminOptions(new Command('revoke').description('take a grant back, or drop a request'))
    .argument('<grant>', 'its id, as `rowgate grants` shows it')
    .action((id: string, options: AdminOptions) => reporting(async () => {
      await askAdmin(adminTarget(options), 'DELETE', `/v1/grants/${encodeURIComponent(id)}`);
      process.stdout.write(`${id} is taken back\n`);
    }));
}

export function grantsCommand(): Command {
  return addAdminOptions(new Command('grants').description('raises in force, and requests that wait'))
    .option('--json', 'print JSON')
    .action((options: AdminOptions & { readonly json?: true }) => reporting(async () => {
      const answer = await askAdmin(adminTarget(options), 'GET', '/v1/grants');
      const views = isRecord(answer) && Array.isArray(answer['grants']) ? (answer['grants'] as GrantView[]) : [];
      process.stdout.write(`${options.json === true ? JSON.stringify(views, undefined, 2) : grantTable(views)}\n`);
    }));
}

function withAmounts(command: Command): Command {
  return command
    .option('--class <name>', 'class; may be left out if there is one only')
    .option('--rows <n>', 'rows more', whole)
    .option('--subjects <n>', 'people more (as many as rows, if left out)', whole)
    .option('--bytes <size>', 'bytes more, e.g. 10MiB', size)
    .option('--for <duration>', 'how long, e.g. 2h', duration);
}

function bodyOf(options: GrantOptions): Record<string, unknown> {
  return { class: options.class, rows: options.rows, subjects: options.subjects, bytes: options.bytes, for_ms: options.for };
}

function tell(answer: unknown): void {
  const grant = isRecord(answer) && isRecord(answer['grant']) ? (answer['grant'] as unknown as GrantView) : undefined;
  if (grant === undefined) return;
  if (grant.note !== undefined) process.stderr.write(`warning: ${grant.note}\n`);
  process.stdout.write(grant.state === 'waiting'
    ? `${grant.id} waits for another person: rowgate approve ${grant.id}\n`
    : `${grant.id}: ${grant.principal} has ${amounts(grant)} more of "${grant.class ?? ''}" until ${grant.until ?? ''}\n`);
}

function amounts(grant: GrantView): string {
  return [grant.rows > 0 ? `${grant.rows} rows` : '', grant.subjects > 0 ? `${grant.subjects} people` : '', grant.bytes > 0 ? formatSize(grant.bytes) : ''].filter((each) => each !== '').join(', ');
}

export function grantTable(views: readonly GrantView[]): string {
  if (views.length === 0) return 'No limit is raised, and nobody asked for it.';
  return plainTable(
    ['id', 'login', 'state', 'class', 'more', 'ends', 'asked by', 'approved by', 'reason'],
    views.map((view) => [
      view.id, view.principal, view.state, view.class ?? '', amounts(view),
      view.until === undefined ? (view.asked_for === undefined ? '' : `after ${view.asked_for}`) : `in ${durationInWords(Math.max(0, Date.parse(view.until) - Date.now()))}`,
      view.requested_by, view.approved_by ?? '', view.reason,
    ]),
    new Set(),
  );
}

function whole(value: string): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 0) throw new InvalidArgumentError('expected a whole number.');
  return number;
}

function size(value: string): number {
  const bytes = parseSize(value);
  if (bytes === undefined) throw new InvalidArgumentError('expected a size such as 4KiB or 10MiB.');
  return bytes;
}

function duration(value: string): number {
  const ms = parseDuration(value);
  if (ms === undefined) throw new InvalidArgumentError('expected a duration such as 90s, 15m, 2h or 1d.');
  return ms;
}
