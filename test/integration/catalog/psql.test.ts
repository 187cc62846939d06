import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Catalog } from '../../../src/catalog/catalog.ts';
import { reach } from '../../../src/catalog/reach.ts';
import { ReachIndex } from '../../../src/catalog/reach-index.ts';
import { Analyser } from '../../../src/sql/analyser.ts';
import { CRM_SCHEMA } from './crm-schema.ts';
import { startServer, type TestServer } from './postgres-server.ts';

const run = promisify(execFile);

/** Every backslash command of psql's that asks the server something, with and without details. */
const COMMANDS = [
  '\\d', '\\d+ crm.*', '\\d+ public.*', '\\dt+ *.*', '\\dv+ *.*', '\\dm+', '\\ds+', '\\di+ *.*', '\\dE+', '\\dP+', '\\dS', '\\dn+', '\\df+ public.*', '\\dfS', '\\da', '\\dx+',
  '\\du+', '\\dg', '\\l+', '\\db+', '\\dp *.*', '\\ddp', '\\drds', '\\dT+', '\\dD+', '\\dO+', '\\dc+', '\\dC+', '\\do+', '\\dA+', '\\dAc+', '\\dAf+', '\\dAo+', '\\dAp+', '\\dL+',
  '\\dF+', '\\dFd+', '\\dFp+', '\\dFt+', '\\dew+', '\\des+', '\\deu+', '\\det+', '\\dRp+', '\\dRs', '\\dX', '\\dy', '\\dd', '\\dl+', '\\dconfig+ *',
  '\\sf public.mystery', '\\sv crm.customer_view', '\\ef public.mystery', '\\conninfo',
];

const psql = await run('psql', ['--version']).then(() => true, () => false);

describe.skipIf(!psql)('psql', () => {
  let server: TestServer;
  let catalog: Catalog;
  let analyser: Analyser;
  let queries: readonly string[];
  let index: ReachIndex;

  beforeAll(async () => {
    server = await startServer();
    const admin = await server.connect();
    await admin.query(CRM_SCHEMA);
    await admin.end();
    analyser = await Analyser.create();
    catalog = new Catalog({
      connection: { host: '127.0.0.1', port: server.port, user: 'catalog', password: 'secret', database: 'postgres' },
      analyse: (sql) => analyser.analyse(sql), readRoutine: (definition) => analyser.readRoutine(definition),
      refreshMs: 60_000,
    });
    index = new ReachIndex(await catalog.refresh(), { classes: [{ name: 'customers', relations: [{ pattern: 'crm.*', subject: [] }], functions: [] }], trustedFunctions: [] });
    // -E prints what psql asks, between lines of asterisks.
    const args = ['-E', '-X', '-h', '127.0.0.1', '-p', String(server.port), '-U', 'postgres', '-d', 'postgres', ...COMMANDS.flatMap((command) => ['-c', command])];
    const { stdout } = await run('psql', args, { env: { ...process.env, PGPASSWORD: 'secret', PSQL_EDITOR: 'true' }, maxBuffer: 64 * 1024 * 1024 });
    queries = [...new Set([...stdout.matchAll(/^[/*]\*+ QUERY \*+\/?\n([^]*?)\n[/*]\*{20,}\/?$/gm)].map((match) => match[1] ?? ''))];
  });

  afterAll(async () => {
    await catalog?.close();
    await analyser?.close();
    await server?.stop();
  });

  it('describes everything without reaching a class', async () => {
    expect(queries.length).toBeGreaterThan(80);
    const charged: unknown[] = [];
    for (const sql of queries) {
      const analysis = await analyser.analyse(sql);
      if (analysis.kind !== 'statements') charged.push([sql, analysis]);
      else for (const facts of analysis.statements) for (const searchPath of [['public'], undefined]) {
        const { opaque, classes } = reach(facts, { index, searchPath });
        if (opaque.length > 0 || classes.length > 0) charged.push([sql, opaque, classes]);
      }
    }
    expect(charged).toEqual([]);
  });
});
