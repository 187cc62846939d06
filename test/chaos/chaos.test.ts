/**
 * `npm run chaos` is the long form; the short one runs with all tests. Four Rowgates, ten sessions of each of twenty principals (short: three), every kind
 * of statement, and faults one after the other. What arrived at the clients is held against the limits, in every interval.
 */

import { execFileSync } from 'node:child_process';
import { cpSync, readdirSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { untilTrue } from '../support/redis-processes.ts';
import { wire } from '../support/wire-client.ts';
import { ChaosClient } from './client.ts';
import { faultsOf } from './faults.ts';
import { GROUPS, ruleOf, startFleet, wholeRunRule, type Fleet } from './fleet.ts';
import { Load } from './load.ts';
import { mostPeople, mostRows, Observer } from './observer.ts';
import { difference, report, type Total } from './report.ts';
import { KIND_NAMES } from './statements.ts';

const long = process.env['ROWGATE_CHAOS'] === 'long';
const CUSTOMERS = long ? 1_500_000 : 20_000;
const SESSIONS_EACH = long ? 10 : 3;
const MINUTES = long ? Number(process.env['ROWGATE_CHAOS_MINUTES'] ?? 5) : 0;
/** The same work without faults, beforehand: what it counts and does not deliver is no crash's cost. */
const CALM_MINUTES = Number(process.env['ROWGATE_CHAOS_CALM_MINUTES'] ?? (long ? MINUTES : 0));
const SEED = Number(process.env['ROWGATE_CHAOS_SEED'] ?? 20_261_124);
/** Between the end of one fault and the next one. */
const CALM_MS = long ? 4000 : 1200;

let fleet: Fleet;
beforeAll(async () => {
  fleet = await startFleet(CUSTOMERS);
}, 300_000);
afterAll(async () => {
  await fleet.stop();
});

async function usedByRule(principal: string): Promise<ReadonlyMap<string, number>> {
  for (const { process } of fleet.rowgates) {
    try {
      return await process.used(principal);
    } catch {
      // Another one knows it as well.
    }
  }
  return new Map();
}

async function totalsOf(observer: Observer): Promise<readonly Total[]> {
  const totals: Total[] = [];
  for (const { role, principals } of GROUPS) {
    let [delivered, counted] = [0, 0];
    for (const principal of principals) {
      delivered += observer.count(principal);
      counted += (await usedByRule(principal)).get(wholeRunRule(role)) ?? 0;
    }
    totals.push({ role, delivered, counted });
  }
  return totals;
}

describe('whatever fails', () => {
  it('nobody gets a row above a limit in any interval, unprotected work goes on, and all is well again afterwards', async () => {
    const observer = new Observer();
    const principals = GROUPS.flatMap((group) => group.principals);
    const newLoad = (seed: number): Load => new Load({ principals, sessionsEach: SESSIONS_EACH, ports: fleet.rowgates.map(({ clients }) => clients.port), customers: CUSTOMERS, observer, seed, pauseMs: long ? 600 : 200 });
    const lag = monitorEventLoopDelay({ resolution: 10 });
    lag.enable();
    const before = await totalsOf(observer);
    if (CALM_MINUTES > 0) {
      const calm = newLoad(SEED + 1_000_000);
      calm.start();
      await sleep(CALM_MINUTES * 60_000);
      await calm.stop();
      await sleep(2000);
    }
    const calmed = await totalsOf(observer);
    const load = newLoad(SEED);
    const startMs = performance.now();
    load.start();
    await sleep(4000);
    const injected: string[] = [];
    const highest = new Map<string, number>();
    const poll = async (): Promise<void> => {
      for (const { role, limits, principals: group } of GROUPS) {
        for (const principal of group) {
          const used = await usedByRule(principal);
          for (const limit of limits) {
            const key = `${limit.scope === 'role' ? role : principal} ${ruleOf(role, limit)}`;
            highest.set(key, Math.max(highest.get(key) ?? 0, used.get(ruleOf(role, limit)) ?? 0));
          }
        }
      }
    };
    do {
      for (const fault of faultsOf(fleet)) {
        const atMs = performance.now();
        await fault.run();
        injected.push(`${((atMs - startMs) / 1000).toFixed(1)} s  ${fault.name} (${((performance.now() - atMs) / 1000).toFixed(1)} s)`);
        await sleep(CALM_MS);
        await poll();
      }
    } while (performance.now() - startMs < MINUTES * 60_000);
    await load.stop();
    lag.disable();
    const seconds = (performance.now() - startMs) / 1000;
    if (fleet.smallDisk === undefined) console.log('the audit disk was not filled: no file system may be mounted here');

    // --- all is well again
    await untilTrue(async () => (await Promise.all(fleet.rowgates.map(({ process }) => process.ready()))).every(Boolean), 60_000);
    for (const { clients } of fleet.rowgates) {
      await untilTrue(async () => {
        const client = await ChaosClient.connect(clients.port, 'rows_late', new Observer());
        const [first] = [await client.run({ bytes: lookUp, ready: 1 }, true, 10_000)];
        client.destroy();
        return first.rows === 1;
      }, 60_000);
    }

    // --- what arrived
    const table: Record<string, string | number>[] = [];
    const over: string[] = [];
    let nearest = 0;
    for (const { role, limits, principals: group } of GROUPS) {
      for (const limit of limits) {
        for (const who of limit.scope === 'role' ? [group] : group.map((principal) => [principal])) {
          const arrivals = observer.of(who);
          // Rows pass through a relay and a client of this process: each may see them late by as much as its event loop stood still, and an interval looks so much shorter.
          const windowMs = limit.windowMs - 2 * (lag.max / 1e6);
          const delivered = limit.dimension === 'rows' ? mostRows(arrivals, windowMs) : mostPeople(arrivals, windowMs);
          const name = limit.scope === 'role' ? role : (who[0] as string);
          const counted = highest.get(`${name} ${ruleOf(role, limit)}`) ?? 0;
          table.push({ principal: limit.scope === 'role' ? `all of ${role}` : name, window: `${limit.windowMs / 1000}s`, counts: limit.dimension, limit: limit.limit, delivered, counted });
          if (delivered > limit.limit) over.push(`${name}: ${delivered} ${limit.dimension} in ${limit.windowMs / 1000} s, the limit is ${limit.limit}; ${who.map((principal) => observer.history(principal, startMs)).join('; ')}`);
          nearest = Math.max(nearest, delivered / limit.limit);
        }
      }
    }
    const totals = await totalsOf(observer);
    report({ seconds, customers: CUSTOMERS, seed: SEED, injected, table, load, lagMs: lag.max / 1e6, calm: difference(calmed, before), totals: difference(totals, calmed), sessions: principals.length * SESSIONS_EACH });

    if (over.length > 0 && process.env['ROWGATE_CHAOS_KEEP'] !== undefined) {
      cpSync(fleet.directory, process.env['ROWGATE_CHAOS_KEEP'], { recursive: true, filter: (from) => !from.endsWith('.lock') });
      console.log(`ports: ${fleet.rowgates.map(({ process: each, clients }) => `${each.name} ${clients.port}`).join(', ')}`);
    }
    expect(over).toEqual([]);
    // The limits were really leaned on, by statements of every kind.
    expect(nearest).toBeGreaterThan(0.8);
    expect([...load.statements.keys()].toSorted()).toEqual(KIND_NAMES.toSorted());
    // Never granted less than what arrived: counted is spent.
    for (const { role, delivered, counted } of totals) expect(counted, role).toBeGreaterThanOrEqual(delivered);
    expect(load.wrongs).toEqual([]);
    // Nobody ended but those who were killed.
    expect(fleet.rowgates.map(({ process }) => process.crashes)).toEqual([0, 0, 0, 0]);

    // --- the audit logs of all of them fit together
    await Promise.all(fleet.rowgates.map(({ process }) => process.end('SIGTERM')));
    for (const [i, { process: { directory } }] of fleet.rowgates.entries()) {
      const at = i === 1 && fleet.smallDisk !== undefined ? fleet.smallDisk : directory;
      const files = readdirSync(at).filter((name) => name.endsWith('.ndjson'));
      expect(files).toHaveLength(i === 3 ? 2 : 1);
      for (const file of files) execFileSync(process.execPath, ['dist/cli/main.js', 'audit', 'verify', '-c', join(directory, 'rowgate.yaml'), join(at, file)], { stdio: 'pipe' });
    }
  }, (CALM_MINUTES + MINUTES + 8) * 60_000);
});

const lookUp = wire.query('SELECT id FROM crm.customers WHERE id = 1');
