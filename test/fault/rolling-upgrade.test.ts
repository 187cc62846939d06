/** Versions beside each other at one Redis: one that counts alike shares the limits, one that does not is kept out. */

import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { makeCustomerBase, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startRowgate, type TestRowgate } from '../support/rowgate.ts';

const ROOT = resolve(import.meta.dirname, '../..');
/** The first version that counts as this one does (layout 2). */
const BEFORE = '417102c046e20948015ecba4a57c4fe4c63de198';
const hasHistory = spawnSync('git', ['cat-file', '-e', `${BEFORE}^{commit}`], { cwd: ROOT }).status === 0;

let postgres: TestPostgres;
let redis: TestRedis;
let directory: string;
const running = new Set<TestRowgate>();
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'rowgate-versions-'));
  postgres = await startPostgres();
  await makeCustomerBase(postgres, 5000);
  redis = await startRedis();
}, 60_000);
afterEach(async () => {
  await Promise.all([...running].map((rowgate) => stop(rowgate)));
});
afterAll(async () => {
  await redis.stop();
  await postgres.stop();
  rmSync(directory, { recursive: true, force: true });
});

async function start(prefix: string, quotas: string, program?: string, more = ''): Promise<TestRowgate> {
  const rowgate = await startRowgate({ postgresPort: postgres.port, quotas, store: `{ redis: "${redis.url}", prefix: "${prefix}:"${more} }`, ...(program === undefined ? {} : { program }) });
  running.add(rowgate);
  return rowgate;
}

async function stop(rowgate: TestRowgate): Promise<void> {
  running.delete(rowgate);
  await rowgate.stop();
}

/** The version of a commit, compiled as it was. */
function versionBefore(): string {
  const home = join(directory, 'before');
  mkdirSync(home);
  const archive = execFileSync('git', ['archive', BEFORE, 'src', 'scripts', 'config', 'package.json', 'tsconfig.json', 'tsconfig.build.json'], { cwd: ROOT, maxBuffer: 256 * 1024 * 1024 });
  execFileSync('tar', ['-x', '-C', home], { input: archive });
  symlinkSync(join(ROOT, 'node_modules'), join(home, 'node_modules'));
  execFileSync(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json'], { cwd: home });
  execFileSync(process.execPath, ['scripts/copy-assets.mjs'], { cwd: home });
  return join(home, 'dist/cli/main.js');
}

/** The present version, if it counted in another way. */
function versionOfLayout(layout: number): string {
  const home = join(directory, `layout-${layout}`);
  cpSync(join(ROOT, 'dist'), join(home, 'dist'), { recursive: true });
  cpSync(join(ROOT, 'package.json'), join(home, 'package.json'));
  symlinkSync(join(ROOT, 'node_modules'), join(home, 'node_modules'));
  const script = join(home, 'dist/quota/scripts/counter.lua');
  const text = readFileSync(script, 'utf8');
  expect(text).toContain('local LAYOUT = 2\n');
  writeFileSync(script, text.replace('local LAYOUT = 2\n', `local LAYOUT = ${layout}\n`));
  return join(home, 'dist/cli/main.js');
}

/** Whoever is thrown out comes again, at another one; what arrived is counted here. */
class Staff {
  readonly people = new Set<number>();
  rows = 0;
  refused = 0;
  readonly unexpected: string[] = [];
  #stopping = false;
  readonly #work: Promise<void>[];

  constructor(sessions: number, ports: () => readonly number[]) {
    this.#work = Array.from({ length: sessions }, (_, i) => this.#session(i, ports));
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#work);
  }

  async #session(number: number, ports: () => readonly number[]): Promise<void> {
    for (let round = number; !this.#stopping; round++) {
      const all = ports();
      const rowgate = [...running].find(({ port }) => port === all[round % all.length]);
      const client = await rowgate?.connect('agent').catch(() => undefined);
      client?.on('error', () => undefined);
      while (client !== undefined && !this.#stopping) {
        try {
          const { rows } = await client.query<{ id: number }>(`SELECT id FROM crm.customers WHERE id > ${Math.floor(Math.random() * 4990)} LIMIT 6`);
          this.rows += rows.length;
          for (const { id } of rows) this.people.add(id);
        } catch (error) {
          const { code = '' } = error as { code?: string };
          if (code === '53400') this.refused++;
          else if (!['57P01', '57P03', 'ECONNRESET'].includes(code) && !/terminated|closed|not queryable/i.test(String(error))) this.unexpected.push(String(error));
          if (code !== '53400') break;
        }
        await sleep(40);
      }
      await client?.end().catch(() => undefined);
      await sleep(50);
    }
  }
}

describe('a version that counts alike', () => {
  test.skipIf(!hasHistory)('is replaced one process at a time under load, and back again, within one limit of rows and one of people (needs the history of the repository)', async () => {
    const before = versionBefore();
    const quotas = '[{ class: customers, window: 1h, rows: 1500, action: block }, { class: customers, window: 24h, subjects: 1200, action: block }]';
    const at: TestRowgate[] = [await start('roll', quotas, before), await start('roll', quotas, before)];
    const staff = new Staff(6, () => at.map(({ port }) => port));
    const replace = async (index: number, program?: string): Promise<void> => {
      const old = at[index] as TestRowgate;
      at[index] = await start('roll', quotas, program);
      await stop(old);
      await sleep(500);
    };
    await sleep(1000);
    await replace(0);
    await replace(1);
    await replace(0, before);
    const midway = staff.rows;
    // What one process holds for a moment is refused at another: all is over when nothing has come for a while.
    for (let last = -1; last !== staff.rows;) {
      last = staff.rows;
      await sleep(3000);
    }
    await staff.stop();
    expect(staff.unexpected).toEqual([]);
    expect(midway).toBeGreaterThan(200);
    expect(staff.rows).toBeLessThanOrEqual(1500);
    expect(staff.people.size).toBeLessThanOrEqual(1200);
    // Nothing is lost on the way either: a process that is stopped gives back what nobody got.
    expect(Math.max(staff.rows / 1500, staff.people.size / 1200)).toBeGreaterThan(0.97);
  }, 180_000);
});

describe('a version that counts in another way', () => {
  const ONE = 'SELECT id FROM crm.customers WHERE id = 1';
  const quotas = '[{ class: customers, window: 1h, rows: 10, action: block }]';

  for (const [name, first, second] of [['newer', undefined, 3], ['older', 3, undefined]] as const) {
    test(`that is ${name} lets nothing protected out at the other's store, also not by an allowance, and disturbs nobody`, async () => {
      const other = versionOfLayout(3);
      const programOf = (layout: number | undefined): string | undefined => (layout === undefined ? undefined : other);
      const prefix = `other-${name}`;
      const owner = await start(prefix, quotas, programOf(first));
      const stranger = await start(prefix, quotas, programOf(second), ', on_outage: { allowance: 5 }');
      const [atOwner, atStranger] = [await owner.connect('agent'), await stranger.connect('agent')];
      expect((await atOwner.query(ONE)).rowCount).toBe(1);
      await expect(atStranger.query(ONE)).rejects.toMatchObject({ code: '57P03' });
      expect((await atStranger.query('SELECT price FROM public.tariffs')).rowCount).toBe(5);
      expect((await fetch(`http://127.0.0.1:${stranger.adminPort}/readyz`)).status).toBe(503);
      expect((await fetch(`http://127.0.0.1:${owner.adminPort}/readyz`)).status).toBe(200);
      expect(stranger.log().filter((line) => String(line['msg']).includes('those of another version of Rowgate'))).toHaveLength(1);
      for (let n = 0; n < 9; n++) expect((await atOwner.query(ONE)).rowCount).toBe(1);
      await expect(atOwner.query(ONE)).rejects.toMatchObject({ code: '53400' });
      await Promise.all([atOwner.end(), atStranger.end()]);
      rmSync(join(directory, 'layout-3'), { recursive: true });
    }, 60_000);
  }
});
