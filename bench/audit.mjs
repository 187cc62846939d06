// CPU time of the audit log, by record. `node bench/audit.mjs [DIST]`, after `npm run build`; DIST of another version to compare with it.
import { mkdtempSync, rmSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const dist = resolve(process.argv[2] ?? new URL('../dist', import.meta.url).pathname);
const { AuditLog } = await import(pathToFileURL(join(dist, 'audit/audit-log.js')).href);
const directory = mkdtempSync(join(tmpdir(), 'rowgate-bench-audit-'));

/** As a look-up of one customer writes it; of the two records the longer one. */
const event = (i, kind = 'statement_end') => ({
  event: kind, session_id: '0b2f1c9a7d3e4f50', principal: 'agent_17', roles: ['support'], client_address: '10.20.30.40:51234', application_name: 'psql',
  database: 'crm', statement_id: `${i}`, statement_kind: 'select', sql: 'SELECT id, first_name, last_name, email, phone FROM crm.customers WHERE id = $1',
  fingerprint: 'a0b1c2d3e4f5a6b7', relations: ['crm.customers'], opaque: [], classes: [{ class: 'customers', units: 1 }], decision: 'allow',
  rule_id: undefined, reason: undefined, rows: 1, units: 1, bytes: 142, sqlstate: undefined, duration_ms: 1.234,
});

/** `together` records are under way at a time, as from so many sessions. */
async function measure(name, together, records, options) {
  const log = await AuditLog.open({ path: join(directory, `${name.replaceAll(/\W+/g, '-')}.ndjson`), ...options });
  await Promise.all(Array.from({ length: 1000 }, (_, i) => log.write(event(i, 'statement_start'))));
  const startMs = performance.now();
  const cpu = process.cpuUsage();
  for (let done = 0; done < records; done += together) {
    const batch = [];
    for (let i = 0; i < together; i++) batch.push(log.write(event(done + i, 'statement_start')));
    await Promise.all(batch);
  }
  const { user, system } = process.cpuUsage(cpu);
  const seconds = (performance.now() - startMs) / 1000;
  await log.close();
  const { writes, syncs } = log.stats;
  console.log(`${name.padEnd(34)} ${((user + system) / records).toFixed(2).padStart(8)} us CPU a record  ${Math.round(records / seconds).toString().padStart(8)} records/s  ${writes} writes, ${syncs ?? '-'} syncs`);
}

const key = randomBytes(32);
try {
  await measure('warm-up', 100, 20_000, {});
  await measure('100 at a time, no key', 100, 100_000, {});
  await measure('100 at a time, HMAC', 100, 100_000, { key });
  await measure('1 at a time, HMAC', 1, 5000, { key });
  await measure('1 at a time, HMAC, sync: record', 1, 500, { key, sync: 'record' });
  await measure('100 at a time, HMAC, sync: interval', 100, 400_000, { key, sync: { everyMs: 1000 } });
  await measure('100 at a time, HMAC, sync: record', 100, 20_000, { key, sync: 'record' });
} finally {
  rmSync(directory, { recursive: true, force: true });
}
