import { Command, InvalidArgumentError } from 'commander';
import type { UsageView } from '../admin/providers.ts';
import { durationInWords, formatSize } from '../policy/units.ts';
import { addAdminOptions, adminTarget, askAdmin, drawing, isRecord, reporting, type AdminOptions } from './admin-client.ts';
import { plainTable } from './history/report-text.ts';

interface Options extends AdminOptions {
  readonly principal?: string;
  readonly json?: true;
  readonly watch?: number | true;
}

export function usageCommand(): Command {
  return addAdminOptions(new Command('usage').description('who is near a limit: the use of every quota, highest share first'))
    .option('--principal <login>', 'one login only')
    .option('--json', 'print JSON')
    .option('--watch [seconds]', 'draw again every few seconds', seconds)
    .action((options: Options) => reporting(async () => {
      const target = adminTarget(options);
      const query = options.principal === undefined ? '' : `?principal=${encodeURIComponent(options.principal)}`;
      await drawing(watchSeconds(options.watch), async () => {
        const answer = await askAdmin(target, 'GET', `/v1/usage${query}`);
        const views = isRecord(answer) && Array.isArray(answer['usage']) ? (answer['usage'] as UsageView[]) : [];
        if (options.json === true) return JSON.stringify(views, undefined, 2);
        return views.length === 0 && options.principal !== undefined ? `Login "${options.principal}" has no quota, as far as this Rowgate knows.` : usageTable(views);
      });
    }));
}

export function usageTable(views: readonly UsageView[]): string {
  if (views.length === 0) return 'Nobody with a quota has been here since Rowgate started.';
  const sorted = views.toSorted((a, b) => b.used / b.limit - a.used / a.limit || a.rule_id.localeCompare(b.rule_id));
  return plainTable(
    ['used', 'who', 'class', 'window', 'use', 'limit', 'next free', 'rule'],
    sorted.map((view) => [
      `${Math.floor((100 * view.used) / view.limit)} %`,
      view.scope === 'role' ? `role ${view.role}` : (view.principal ?? ''),
      view.class, view.window, amount(view, view.used), amount(view, view.limit),
      view.next_free_in_ms === undefined ? '' : `in ${durationInWords(view.next_free_in_ms)}`, view.rule_id,
    ]),
    new Set([0, 4, 5]),
  );
}

function amount(view: UsageView, units: number): string {
  return view.dimension === 'bytes' ? formatSize(units) : `${units} ${view.dimension}`;
}

export function seconds(value: string): number {
  const number = Number(value);
  if (!(number >= 0.2 && number <= 3600)) throw new InvalidArgumentError('expected a number of seconds from 0.2 to 3600.');
  return number;
}

export function watchSeconds(watch: number | true | undefined): number | undefined {
  return watch === true ? 2 : watch;
}
