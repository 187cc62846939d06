import { Command } from 'commander';
import type { GrantView, UsageView } from '../../admin/providers.ts';
import { isMemberOf } from '../../catalog/members.ts';
import { compilePolicy } from '../../policy/compile.ts';
import { policyFor } from '../../policy/principal.ts';
import type { CompiledQuota, PrincipalPolicy } from '../../policy/types.ts';
import { withGrants, type Grant } from '../../quota/grants.ts';
import { MemoryDerivedStore } from '../../quota/derived-store.ts';
import { ownQuestion } from '../../session/own-question.ts';
import { Analyser } from '../../sql/analyser.ts';
import { AdminError, adminTarget, askAdmin, isRecord, reporting } from '../admin-client.ts';
import { openCatalogs } from '../catalogs-of.ts';
import { routesOf } from '../routes-of.ts';
import { readConfigFile } from '../config-file.ts';
import { explainStatement } from './explanation.ts';
import { explanationText, type QuotaState } from './text.ts';

interface Options {
  readonly config: string;
  readonly user: string;
  readonly database?: string;
  readonly searchPath?: string;
  readonly json?: true;
}

export function explainCommand(): Command {
  return new Command('explain')
    .description('what Rowgate sees in a statement, and what it would decide')
    .argument('<sql>', 'one or more statements')
    .requiredOption('-c, --config <file>', 'configuration file')
    .requiredOption('--user <login>', 'whose statement it would be')
    .option('--database <name>', 'database; the one named as the login, if left out')
    .option('--search-path <schemas>', 'schemas in which names without one are looked for, comma separated', undefined)
    .option('--json', 'print JSON')
    .addHelpText('after', `
Nothing is run: the statement is parsed, and the catalog is read with the configuration's catalog login. How much of a quota is used
is asked of the running Rowgate, if one answers. Tables and cursors that a session made for itself are not known here.`)
    .action((sql: string, options: Options) => reporting(() => explain(sql, options)));
}

async function explain(sql: string, options: Options): Promise<void> {
  const read = readConfigFile(options.config);
  if (!read.ok) throw new AdminError(read.problems.join('\n'));
  const { config } = read;
  const policy = compilePolicy(config);
  const database = options.database ?? options.user;
  const analyser = await Analyser.create({ maxBytes: config.limits.maxStatementBytes });
  const quiet = (): void => undefined; // open() tells of the error itself
  const catalogs = openCatalogs(config, policy, { routes: routesOf(config).routes, analyse: (text) => analyser.analyse(text), readRoutine: (text) => analyser.readRoutine(text), copies: new MemoryDerivedStore(), onRefreshed: quiet, onError: quiet });
  try {
    await catalogs.open(database).catch((error: unknown) => {
      throw new AdminError(error instanceof Error ? error.message : String(error));
    });
    const index = catalogs.index(database);
    const { used, grants } = await atWork(options);
    const principal = withGrants(policyFor(options.user, policy, (role) => isMemberOf(index.snapshot, options.user, role)), grants);
    const searchPath = options.searchPath?.split(',').map((schema) => schema.trim()) ?? [options.user, 'public'].filter((schema) => index.snapshot.schemas.has(schema));
    const asks = ownQuestion(sql);
    if (asks !== undefined) {
      process.stdout.write(options.json === true ? `${JSON.stringify([{ answeredByRowgate: asks.kind }], undefined, 2)}\n` : `answered by Rowgate itself (${asks.kind === 'usage' ? 'what is left of the own quotas' : 'a request for more'}); it never reaches the server, and costs nothing\n`);
      return;
    }
    const analysis = await analyser.analyse(sql);
    if (analysis.kind !== 'statements') {
      throw new AdminError(analysis.kind === 'syntax_error'
        ? `PostgreSQL's grammar rejects it${analysis.position === undefined ? '' : ` at character ${analysis.position}`}: ${analysis.message}. If another version of the server accepts it, it is charged to every class.`
        : `it cannot be analysed (${analysis.reason}), so it is charged to every class`);
    }
    if (analysis.statements.length === 0) throw new AdminError('there is no statement in it: the empty query is always allowed');
    const explained = analysis.statements.map((facts) => explainStatement(facts, index, searchPath, principal));
    if (options.json === true) {
      process.stdout.write(`${JSON.stringify(explained.map((each) => ({ ...each, classes: each.classes, quotas: quotasOf(principal, each.classes, used) })), undefined, 2)}\n`);
      return;
    }
    process.stdout.write(`${explained.map((each) => explanationText(each, principal, quotasOf(principal, each.classes, used))).join('\n\n')}\n`);
  } finally {
    await catalogs.close();
    await analyser.close();
  }
}

function quotasOf(principal: PrincipalPolicy, classes: readonly { readonly className: string }[], used: readonly UsageView[]): readonly QuotaState[] {
  return classes.flatMap(({ className }) => (principal.quotas.get(className) ?? []).map((quota): QuotaState => ({ quota, state: stateOf(quota, used) })));
}

function stateOf(quota: CompiledQuota, used: readonly UsageView[]): QuotaState['state'] {
  const view = used.find((each) => each.rule_id === quota.ruleId);
  return view === undefined ? undefined : { used: view.used, nextFreeInMs: view.next_free_in_ms };
}

/** What the running Rowgate knows of the login: how much is used, and raises in force. */
async function atWork(options: Options): Promise<{ readonly used: readonly UsageView[]; readonly grants: readonly Grant[] }> {
  const target = adminTarget({ config: options.config });
  try {
    const [used, grants] = await Promise.all([askAdmin(target, 'GET', `/v1/usage?principal=${encodeURIComponent(options.user)}`), askAdmin(target, 'GET', '/v1/grants')]);
    return { used: listIn<UsageView>(used, 'usage'), grants: listIn<GrantView>(grants, 'grants').filter((view) => view.principal === options.user && view.state === 'in force').map(grantOf) };
  } catch (error) {
    if (!(error instanceof AdminError)) throw error;
    process.stderr.write(`use of the quotas is not known: ${error.message}\n`);
    return { used: [], grants: [] };
  }
}

function listIn<T>(answer: unknown, key: string): readonly T[] {
  return isRecord(answer) && Array.isArray(answer[key]) ? (answer[key] as T[]) : [];
}

function grantOf(view: GrantView): Grant {
  return {
    id: view.id, principal: view.principal, className: view.class, rows: view.rows, subjects: view.subjects, bytes: view.bytes, reason: view.reason,
    requestedBy: view.requested_by, requestedAtMs: Date.parse(view.requested_at), approval: { by: view.approved_by ?? '', fromMs: 0, untilMs: Date.parse(view.until ?? '') },
  };
}
