import { Command } from 'commander';
import type { SessionView } from '../admin/providers.ts';
import { durationInWords, formatSize } from '../policy/units.ts';
import { addAdminOptions, adminTarget, askAdmin, drawing, isRecord, reporting, type AdminOptions } from './admin-client.ts';
import { plainTable } from './history/report-text.ts';
import { seconds, watchSeconds } from './usage.ts';

interface Options extends AdminOptions {
  readonly json?: true;
  readonly watch?: number | true;
}

export function sessionsCommand(): Command {
  const command = addAdminOptions(new Command('sessions').description('who is connected now, and what they took'))
    .option('--json', 'print JSON')
    .option('--watch [seconds]', 'draw again every few seconds', seconds)
    .action((options: Options) => reporting(async () => {
      const target = adminTarget(options);
      await drawing(watchSeconds(options.watch), async () => {
        const answer = await askAdmin(target, 'GET', '/v1/sessions');
        const views = isRecord(answer) && Array.isArray(answer['sessions']) ? (answer['sessions'] as SessionView[]) : [];
        return options.json === true ? JSON.stringify(views, undefined, 2) : sessionTable(views);
      });
    }));
  command.addCommand(killCommand());
  return command;
}

function killCommand(): Command {
  return addAdminOptions(new Command('kill').description('end a session: its client reads FATAL 57P01, its statement is cancelled'))
    .argument('<session>', 'session id, as `rowgate sessions` and the audit log show it')
    .action((session: string, _options: AdminOptions, self: Command) => reporting(async () => {
      const target = adminTarget(self.optsWithGlobals<AdminOptions>());
      await askAdmin(target, 'DELETE', `/v1/sessions/${encodeURIComponent(session)}`);
      process.stdout.write(`session ${session} ended\n`);
    }));
}

export function sessionTable(views: readonly SessionView[]): string {
  if (views.length === 0) return 'Nobody is connected.';
  const now = Date.now();
  return plainTable(
    ['session', 'login', 'roles', 'client', 'application', 'database', 'state', 'since', 'statements', 'rows', 'units', 'bytes'],
    views.toSorted((a, b) => b.units - a.units || a.started_at.localeCompare(b.started_at)).map((view) => [
      view.session_id, view.principal, view.roles.join(', '), view.client_address, view.application_name, view.database, view.state,
      durationInWords(Math.max(0, now - Date.parse(view.started_at))), view.statements, view.rows, view.units, formatSize(view.bytes),
    ]),
    new Set([8, 9, 10, 11]),
  );
}
