/** A log is written by the real writer, damaged by hand, and read by the verifier. */

import { mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync, appendFileSync } from 'node:fs';
import { createHmac } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { AuditLog } from '../../../src/audit/audit-log.ts';
import type { AuditLogOptions } from '../../../src/audit/audit-options.ts';
import { GENESIS_MAC, keyId } from '../../../src/audit/chain.ts';
import type { Finding } from '../../../src/audit/chain-verifier.ts';
import { verifyFiles, type VerifyOptions, type VerifyResult } from '../../../src/audit/verify-files.ts';

const key = Buffer.from('0123456789abcdef0123456789abcdef');
const otherKey = Buffer.from('another key that is 32 bytes long');
let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'rowgate-verify-'));
  path = join(directory, 'rowgate.ndjson');
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

async function write(count: number, options: Partial<AuditLogOptions> = {}): Promise<void> {
  const log = await AuditLog.open({ path, key, ...options });
  for (let i = 0; i < count; i++) await log.write({ event: 'service_stop', reason: `record ${i} — ${'x'.repeat(i % 7)}` });
  await log.close();
}

function allFiles(): string[] {
  return readdirSync(directory).map((name) => join(directory, name));
}

async function verify(options: Partial<VerifyOptions> = {}): Promise<{ findings: Finding[]; result: VerifyResult }> {
  const findings: Finding[] = [];
  const result = await verifyFiles({ files: allFiles(), keys: new Map([[keyId(key), key]]), partial: false, report: (finding) => findings.push(finding), ...options });
  return { findings, result };
}

async function kinds(options: Partial<VerifyOptions> = {}): Promise<string[]> {
  return (await verify(options)).findings.map(({ kind, line, seq }) => `${kind} line ${line} seq ${seq}`);
}

function lines(file = path): string[] {
  return readFileSync(file, 'utf8').split('\n').slice(0, -1);
}

function change(edit: (all: string[]) => string[], file = path): void {
  writeFileSync(file, edit(lines(file)).map((line) => `${line}\n`).join(''));
}

describe('the chain', () => {
  it('is HMAC-SHA-256 over the MAC before and the line without its own', async () => {
    await write(3);
    let before = GENESIS_MAC;
    for (const line of lines()) {
      const [, front = '', mac = ''] = /^(.*),"mac":"([0-9a-f]{64})"\}$/.exec(line) ?? [];
      expect(createHmac('sha256', key).update(`${before}${front}}`).digest('hex')).toBe(mac);
      before = mac;
    }
  });

  it('holds for keys and lines of any length', async () => {
    await fc.assert(fc.asyncProperty(fc.string({ minLength: 1, maxLength: 200 }), fc.array(fc.string({ unit: 'binary', maxLength: 900 }), { minLength: 1, maxLength: 4 }), async (secret, reasons) => {
      rmSync(path, { force: true });
      const bytes = Buffer.from(secret);
      const log = await AuditLog.open({ path, key: bytes });
      await Promise.all(reasons.map((reason) => log.write({ event: 'service_stop', reason })));
      await log.close();
      let before = GENESIS_MAC;
      for (const line of lines()) {
        const [, front = '', mac = ''] = /^(.*),"mac":"([0-9a-f]{64})"\}$/.exec(line) ?? [];
        expect(createHmac('sha256', bytes).update(`${before}${front}}`).digest('hex')).toBe(mac);
        before = mac;
      }
    }), { numRuns: 40 });
  });

  it('goes on over restarts', async () => {
    for (let i = 0; i < 3; i++) await write(4);
    const { findings, result } = await verify();
    expect(findings).toEqual([]);
    expect(result.chains).toMatchObject([{ records: 15, firstSeq: 1, last: { seq: 15 } }]);
  });

  it('goes on over files that are closed by size, read in any order, compressed or not', async () => {
    await write(60, { rotation: { sizeBytes: 3000 } });
    const files = allFiles();
    expect(files.length).toBeGreaterThan(4);
    const packed = files.find((file) => file !== path) as string;
    writeFileSync(`${packed}.gz`, gzipSync(readFileSync(packed)));
    rmSync(packed);
    for (const order of [allFiles(), allFiles().toReversed()]) expect((await verify({ files: order })).findings).toEqual([]);
    for (const file of files.filter((each) => each !== packed)) expect(readFileSync(file).length).toBeLessThanOrEqual(3000);
  });

  it('goes on when the file is closed by time', async () => {
    let now = Date.UTC(2030, 0, 1, 23, 59, 59);
    const log = await AuditLog.open({ path, key, rotation: { everyMs: 86_400_000 }, now: () => now });
    await log.write({ event: 'service_stop', reason: 'a' });
    now += 2000;
    await log.write({ event: 'service_stop', reason: 'b' });
    await log.close();
    expect(readdirSync(directory).toSorted()).toEqual(['rowgate-20300102T000001Z-000000000002.ndjson', 'rowgate.ndjson']);
    expect((await verify()).findings).toEqual([]);
    expect(JSON.parse(lines()[0] ?? '')).toMatchObject({ event: 'audit_open', reason: 'rotated', previous_file: 'rowgate-20300102T000001Z-000000000002.ndjson', previous_seq: 2 });
  });

  it('goes on when another program moves the file, while Rowgate runs or between two runs', async () => {
    const log = await AuditLog.open({ path, key, placeCheckMs: 0 });
    await log.write({ event: 'service_stop', reason: 'a' });
    renameSync(path, `${path}.2`);
    await log.reopen();
    await log.write({ event: 'service_stop', reason: 'b' });
    await log.close();
    renameSync(path, `${path}.1`);
    await write(2);
    const { findings, result } = await verify();
    expect(findings).toEqual([]);
    expect(result.chains).toHaveLength(1);
  });

  it('tells of closed files that were removed after their time, and is whole without them', async () => {
    let now = Date.UTC(2030, 0, 1);
    const log = await AuditLog.open({ path, key, rotation: { everyMs: 3_600_000, keepMs: 3 * 3_600_000 }, now: () => now });
    for (let hour = 0; hour < 8; hour++) {
      await log.write({ event: 'service_stop', reason: `hour ${hour}` });
      now += 3_600_000;
    }
    await log.write({ event: 'service_stop', reason: 'last' });
    await log.close();
    expect(allFiles().length).toBeLessThan(6);
    const { findings, result } = await verify();
    expect(findings).toEqual([]);
    expect(result.chains[0]?.firstSeq).toBeGreaterThan(1);
    // What nobody told of is missed.
    rmSync(allFiles().toSorted()[0] as string);
    expect((await verify()).findings).toMatchObject([{ kind: 'beginning_missing' }]);
    expect((await verify({ partial: true })).findings).toEqual([]);
  });

  it('is one for each writer', async () => {
    const logs = await Promise.all(['w1', 'w2'].map((writer) => AuditLog.open({ path, key, writer })));
    await Promise.all(logs.flatMap((log) => [1, 2, 3].map((i) => log.write({ event: 'service_stop', reason: `${i}` }))));
    await Promise.all(logs.map((log) => log.close()));
    expect(readdirSync(directory).toSorted()).toEqual(['rowgate.w1.ndjson', 'rowgate.w2.ndjson']);
    expect(JSON.parse(lines(join(directory, 'rowgate.w2.ndjson'))[1] ?? '')).toMatchObject({ writer: 'w2' });
    const { findings, result } = await verify();
    expect(findings).toEqual([]);
    expect(result.chains).toHaveLength(2);
  });

  it('takes a new key: what is old is checked with the old one, and both are asked for', async () => {
    await write(3, { key: otherKey });
    await write(3);
    expect((await verify({ keys: new Map([[keyId(key), key], [keyId(otherKey), otherKey]]) })).findings).toEqual([]);
    expect((await verify()).findings[0]).toMatchObject({ kind: 'unknown_key', seq: 1 });
  });

  it('may get a key later, and may not lose it', async () => {
    await write(3, { key: undefined });
    await write(3);
    const { findings, result } = await verify();
    expect(findings).toEqual([]);
    expect(result.chains[0]).toMatchObject({ unsigned: 4 });
    change((all) => all.with(1, (all[1] as string).replace('record 0', 'record 7')));
    expect(await kinds()).toEqual(['changed line 2 seq 2']);
    change((all) => all.with(1, (all[1] as string).replace('record 7', 'record 0')));
    await write(3, { key: undefined });
    expect(await kinds()).toEqual(['unsigned line 9 seq 9']);
  });

  it('without any key is not accepted by who has one', async () => {
    await write(3, { key: undefined });
    expect(await kinds()).toEqual(['unsigned line 1 seq 1']);
    expect(await kinds({ keys: new Map() })).toEqual([]);
  });
});

describe('damage is found: ', () => {
  beforeEach(() => write(9));

  it('nothing', async () => expect(await kinds()).toEqual([]));

  it('a changed record', async () => {
    change((all) => all.with(4, (all[4] as string).replace('record 3', 'record 8')));
    expect(await kinds()).toEqual(['changed line 5 seq 5']);
  });

  it('a changed last record', async () => {
    change((all) => all.with(9, (all[9] as string).replace('record 8', 'record 3')));
    expect(await kinds()).toEqual(['changed line 10 seq 10']);
  });

  it('a changed first record', async () => {
    change((all) => all.with(0, (all[0] as string).replace(/"pid":\d+/, '"pid":1')));
    expect(await kinds()).toEqual(['changed line 1 seq 1']);
  });

  it('removed records', async () => {
    change((all) => all.toSpliced(3, 2));
    expect(await kinds()).toEqual(['removed line 4 seq 6']);
  });

  it('a removed beginning', async () => {
    change((all) => all.slice(2));
    expect(await kinds()).toEqual(['beginning_missing line 1 seq 3']);
  });

  it('a record put in, whatever its number', async () => {
    const original = lines();
    for (const seq of [3, 5, 6, 8, 2000]) {
      change(() => original.toSpliced(4, 0, (original[7] as string).replace(/"seq":\d+/, `"seq":${seq}`)));
      const found = await verify();
      expect(found.findings.map(({ line }) => line), `seq ${seq}`).toContain(5);
      expect(['inserted', 'repeated']).toContain(found.findings[0]?.kind);
    }
  });

  it('a copied record', async () => {
    change((all) => all.toSpliced(6, 0, all[3] as string));
    expect(await kinds()).toEqual(['repeated line 7 seq 4']);
  });

  it('two records in the wrong order', async () => {
    change((all) => all.with(3, all[4] as string).with(4, all[3] as string));
    expect(await kinds()).toEqual(['moved line 4 seq 5']);
  });

  it('a record moved to the end', async () => {
    change((all) => [...all.toSpliced(3, 1), all[3] as string]);
    expect(await kinds()).toEqual(['removed line 4 seq 5', 'repeated line 10 seq 4']);
  });

  it('a line that is no record', async () => {
    change((all) => all.toSpliced(4, 0, '{"event":"statement_end"}'));
    expect(await kinds()).toEqual(['no_record line 5 seq undefined']);
  });

  it('a record of another chain with the same key', async () => {
    const mine = readFileSync(path);
    rmSync(path);
    await write(9);
    const theirs = lines();
    writeFileSync(path, mine);
    change((all) => all.with(4, theirs[4] as string));
    expect((await verify()).findings.length).toBeGreaterThan(0);
  });

  it('an end cut off, if the head is known from elsewhere, and only then', async () => {
    const head = (await verify()).result.chains[0]?.last;
    expect(await kinds({ head })).toEqual([]);
    change((all) => all.slice(0, -2));
    expect(await kinds()).toEqual([]);
    expect(await kinds({ head })).toEqual(['end_missing line 8 seq 8']);
    // Also after the writer went on from there.
    await write(5);
    expect(await kinds({ head })).toEqual(['head_differs line 14 seq 10']);
  });

  it('a line cut in the middle', async () => {
    writeFileSync(path, readFileSync(path).subarray(0, -20));
    const { findings, result } = await verify();
    expect(findings).toEqual([]);
    expect(result.tornEnd?.bytes).toBeGreaterThan(100);
    expect(result.chains[0]?.last.seq).toBe(9);
  });

  it('a torn line that the next start did not tell of', async () => {
    appendFileSync(path, '{"v":2,"seq":11,"chain":"');
    await write(2);
    expect(await kinds()).toEqual([]);
    change((all) => all.with(10, '{"v":2,"seq":11,"chaim":"'));
    expect(await kinds()).toEqual(['no_record line 11 seq undefined']);
  });

  it('a whole record that lacks only its line feed is no damage, and the next start continues behind it', async () => {
    writeFileSync(path, readFileSync(path).subarray(0, -1));
    expect(await kinds()).toEqual([]);
    await write(2);
    expect((await verify()).result.chains[0]?.last.seq).toBe(13);
    expect(await kinds()).toEqual([]);
  });

  it('any other byte, anywhere', async () => {
    const bytes = readFileSync(path);
    await fc.assert(fc.asyncProperty(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
      const damaged = Buffer.from(bytes);
      damaged[at] = (damaged[at] as number) ^ flip;
      writeFileSync(path, damaged);
      const { findings, result } = await verify();
      // The last line feed is no part of a record.
      if (at < bytes.length - 1) expect(findings.length + (result.tornEnd === undefined ? 0 : 1)).toBeGreaterThan(0);
    }), { numRuns: 300 });
  });
});
