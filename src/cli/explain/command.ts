import { Command } from 'commander';
import type { UsageView } from '../../admin/providers.ts';
import { isMemberOf } from '../../catalog/members.ts';
import { compilePolicy } from '../../policy/compile.ts';
import { policyFor } from '../../policy/principal.ts';
import type { CompiledQuota, PrincipalPolicy } from '../../policy/types.ts';
import { MemoryDerivedStore } from '../../quota/derived-store.ts';
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
    const principal = policyFor(options.user, policy, (role) => isMemberOf(index.snapshot, options.user, role));
    const searchPath = options.searchPath?.split(',').map((schema) => schema.trim()) ?? [options.user, 'public'].filter((schema) => index.snapshot.schemas.has(schema));
    const analysis = await analyser.analyse(sql);
    if (analysis.kind !== 'statements') {
      throw new AdminError(analysis.kind === 'syntax_error'
        ? `PostgreSQL's grammar rejects it${analysis.position === undefined ? '' : ` at character ${analysis.position}`}: ${analysis.message}. If another version of the server accepts it, it is charged to every class.`
        : `it cannot be analysed (${analysis.reason}), so it is charged to every class`);
    }
    const used = await usageOf(options);
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

async function usageOf(options: Options): Promise<readonly UsageView[]> {
  try {
    const answer = await askAdmin(adminTarget({ config: options.config }), 'GET', `/v1/usage?principal=${encodeURIComponent(options.user)}`);
    return isRecord(answer) && Array.isArray(answer['usage']) ? (answer['usage'] as UsageView[]) : [];
  } catch (error) {
    if (!(error instanceof AdminError)) throw error;
    process.stderr.write(`use of the quotas is not known: ${error.message}\n`);
    return [];
  }
}
