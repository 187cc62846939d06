import * as fs from 'node:fs';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AuditLog } from '../../../src/audit/audit-log.ts';
import { AuditUnavailableError, type AuditLogOptions, type AuditStatus } from '../../../src/audit/audit-options.ts';
import type { AuditEvent, AuditRecord } from '../../../src/audit/events.ts';
import { FaultyFileIo } from './faulty-file-io.ts';

let directory: string;
let path: string;
const logs: AuditLog[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'rowgate-audit-'));
  path = join(directory, 'log', 'rowgate.ndjson');
});

afterEach(async () => {
  await Promise.all(logs.splice(0).map((log) => log.close()));
  rmSync(directory, { recursive: true, force: true });
});

async function openLog(options: Partial<AuditLogOptions> = {}): Promise<AuditLog> {
  const log = await AuditLog.open({ path, retryMinMs: 5, retryMaxMs: 20, placeCheckMs: 0, ...options });
  logs.push(log);
  return log;
}

function event(name: string): AuditEvent {
  return { event: 'service_stop', reason: name };
}

function lines(file = path): string[] {
  return readFileSync(file, 'utf8').split('\n').filter((line) => line !== '');
}

/** Without those that open a file. */
function records(file = path): AuditRecord[] {
  return lines(file).map((line) => JSON.parse(line) as AuditRecord).filter((record) => record.event !== 'audit_open');
}

function reasons(file = path): string[] {
  return records(file).map((record) => ('reason' in record ? String(record.reason) : record.event));
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 1000 && !condition(); i += 1) await sleep(5);
  expect(condition()).toBe(true);
}

async function reasonOf(promise: Promise<void>): Promise<string> {
  const outcome = await promise.then(() => 'written', (error: unknown) => error);
  if (typeof outcome === 'string') return outcome;
  expect(outcome).toBeInstanceOf(AuditUnavailableError);
  return (outcome as AuditUnavailableError).reason;
}

describe('a healthy audit log', () => {
  it('has the record in the file when its promise resolves', async () => {
    const log = await openLog({ now: () => Date.UTC(2030, 0, 2, 3, 4, 5, 6) });
    await log.write(event('first'));
    expect(lines()[1]).toMatch(/^\{"v":2,"seq":2,"chain":"[0-9a-f]{12}","time":"2030-01-02T03:04:05.006Z","event":"service_stop","reason":"first","mac":"[0-9a-f]{64}"\}$/);
  });

  it('creates its directory and a file that only its owner may read', async () => {
    await openLog();
    expect(fs.statSync(path).mode & 0o777).toBe(0o600);
    expect(fs.statSync(join(directory, 'log')).mode & 0o777).toBe(0o700);
  });

  it('keeps the permissions that ops gave to an existing file, and tells if everyone may read it', async () => {
    fs.mkdirSync(join(directory, 'log'));
    fs.writeFileSync(path, '');
    fs.chmodSync(path, 0o644);
    const notices: unknown[] = [];
    await openLog({ onNotice: (notice) => notices.push(notice) });
    expect(fs.statSync(path).mode & 0o777).toBe(0o644);
    expect(notices).toEqual([{ kind: 'loose_permissions', mode: 0o644 }]);
  });

  it('appends to what is there', async () => {
    const first = await openLog();
    await first.write(event('a'));
    await first.close();
    await (await openLog()).write(event('b'));
    expect(reasons()).toEqual(['a', 'b']);
  });

  it('puts records of one turn into one write, in the order in which they came', async () => {
    const io = new FaultyFileIo();
    const log = await openLog({ io });
    const order: number[] = [];
    await Promise.all([0, 1, 2, 3].map((i) => log.write(event(`r${i}`)).then(() => order.push(i))));
    expect(io.writes).toHaveLength(1);
    expect(order).toEqual([0, 1, 2, 3]);
    expect(reasons()).toEqual(['r0', 'r1', 'r2', 'r3']);
  });

  it('puts records that come while a write is under way into the next one, and resolves none of them before', async () => {
    const io = new FaultyFileIo();
    const log = await openLog({ io });
    let release = ignoreCall;
    io.script.push({ wait: new Promise<void>((resolve) => { release = resolve; }) });
    const settled: string[] = [];
    const first = log.write(event('a')).then(() => settled.push('a'));
    await until(() => io.writes.length === 1);
    const rest = ['b', 'c'].map((name) => log.write(event(name)).then(() => settled.push(name)));
    await sleep(20);
    expect(settled).toEqual([]);
    release();
    await Promise.all([first, ...rest]);
    expect(io.writes).toHaveLength(2);
    expect(settled).toEqual(['a', 'b', 'c']);
  });

  it('comes back from the other thread to this one while records never stop coming', async () => {
    let atOnce = 0;
    const io = Object.assign(new FaultyFileIo(), { writeNow: (fd: number, bytes: Buffer) => (atOnce++, fs.writeSync(fd, bytes)) });
    const log = await openLog({ placeCheckMs: 20, io });
    let writing = true;
    const written: Promise<void>[] = [];
    const oneATurn = (): void => {
      written.push(log.write(event(String(written.length))));
      if (writing) setImmediate(oneATurn);
    };
    oneATurn();
    // It looks for the file's place on the other thread, again and again.
    await until(() => io.writes.length > 3);
    const [before, elsewhere] = [atOnce, io.writes.length];
    await until(() => io.writes.length > elsewhere + 3);
    writing = false;
    await Promise.all(written);
    expect(atOnce - before).toBeGreaterThan(io.writes.length - elsewhere);
    expect(reasons()).toEqual(written.map((_, at) => String(at)));
  });

  it('refuses records beyond its bound, and tells of them as soon as there is room', async () => {
    const io = new FaultyFileIo();
    const log = await openLog({ io, maxBufferedChars: 250 });
    let release = ignoreCall;
    io.script.push({ wait: new Promise<void>((resolve) => { release = resolve; }) });
    const first = log.write(event('a'));
    await until(() => io.writes.length === 1);
    const outcomes = ['b', 'c', 'd', 'e', 'f', 'g'].map((name) => reasonOf(log.write(event(name))));
    release();
    await first;
    expect(await Promise.all(outcomes)).toEqual(['written', 'written', 'written', 'BUFFER_FULL', 'BUFFER_FULL', 'BUFFER_FULL']);
    expect(log.healthy).toBe(true);
    await log.write(event('h'));
    expect(reasons()).toEqual(['a', 'b', 'c', 'd', 'BUFFER_FULL', 'h']);
    expect(records()[4]).toMatchObject({ event: 'audit_gap', refused: 3 });
  });

  it('splits what waits into writes of bounded size', async () => {
    const io = new FaultyFileIo();
    const log = await openLog({ io, maxBatchChars: 200 });
    // Two bodies fit; the lines are longer by their frame.
    await Promise.all(Array.from({ length: 10 }, (_, i) => log.write(event(`r${i}`))));
    expect(io.writes.length).toBeGreaterThan(4);
    expect(Math.max(...io.writes.map((text) => text.length))).toBeLessThan(800);
    expect(reasons()).toEqual(Array.from({ length: 10 }, (_, i) => `r${i}`));
  });

  it('writes what waits before it closes, and refuses what comes after', async () => {
    const log = await openLog();
    const waiting = [log.write(event('a')), log.write(event('b'))];
    const closed = log.close();
    expect(await reasonOf(log.write(event('c')))).toBe('CLOSED');
    await Promise.all([...waiting, closed, log.close()]);
    expect(reasons()).toEqual(['a', 'b']);
  });

  it('bounds long texts', async () => {
    const log = await openLog({ limits: { reasonChars: 10 } });
    await log.write(event('x'.repeat(1000)));
    expect(reasons()).toEqual([`${'x'.repeat(10)}[+990 chars]`]);
  });
});

describe('a torn line', () => {
  it('is ended before the next record when a crash left it', async () => {
    fs.mkdirSync(join(directory, 'log'));
    fs.writeFileSync(path, '{"event":"half');
    await (await openLog()).write(event('a'));
    expect(lines()[0]).toBe('{"event":"half');
    expect(JSON.parse(lines()[1] ?? '')).toMatchObject({ event: 'audit_open', reason: 'new', torn_bytes: 14 });
    expect(JSON.parse(lines()[2] ?? '')).toMatchObject({ reason: 'a' });
  });

  it('is not left behind, wherever a short write(2) ends', async () => {
    const io = new FaultyFileIo();
    const log = await openLog({ io, now: () => 0 });
    for (let take = 0; take < 1200; take += 3) {
      fs.rmSync(path);
      await log.reopen();
      io.script.push({ take });
      await Promise.all(['a', 'b', 'c'].map((name) => log.write(event(name))));
      expect(wholeReasons()).toEqual(['a', 'b', 'c']);
      expect(log.healthy).toBe(true);
    }
  });

  it('never holds a record that counts as written, wherever the write(2) fails', async () => {
    const io = new FaultyFileIo();
    for (let take = 0; take < 1200; take += 31) {
      const log = await openLog({ io, now: () => 0, path: `${path}.${take}`, retryMinMs: 1 });
      io.script.push({ take, fail: 'EIO' });
      const outcomes = await Promise.all(['a', 'b', 'c'].map((name) => reasonOf(log.write(event(name)))));
      expect(new Set(outcomes)).toEqual(new Set(['EIO']));
      await until(() => log.healthy);
      await log.write(event('d'));
      expect(wholeReasons(`${path}.${take}`).slice(-2)).toEqual(['EIO', 'd']);
    }
  });

  it('is not continued when the disk is full half-way through: whole records count as written, the others are refused', async () => {
    const io = new FaultyFileIo();
    const log = await openLog({ io, now: () => 0 });
    // The record that opens the file has more than 300 bytes.
    await log.write(event('first'));
    io.script.push({ take: 300 }, { take: 7, fail: 'ENOSPC' });
    const outcomes = await Promise.all(['a', 'b', 'c'].map((name) => reasonOf(log.write(event(name)))));
    expect(outcomes).toEqual(['written', 'ENOSPC', 'ENOSPC']);
    await until(() => log.healthy);
    await log.write(event('d'));
    expect(wholeReasons()).toEqual(['first', 'a', 'ENOSPC', 'd']);
  });

  it('does not make the log try for ever when nothing is taken', async () => {
    const io = new FaultyFileIo();
    const log = await openLog({ io });
    io.script.push({ take: 3 }, { take: 0 }, { take: 0 });
    expect(await reasonOf(log.write(event('a')))).toBe('SHORT_WRITE');
  });

  function wholeReasons(file = path): string[] {
    return lines(file).flatMap((line) => {
      try {
        const record = JSON.parse(line) as { reason: string; event: string };
        return record.event === 'audit_open' ? [] : [record.reason];
      } catch {
        return [];
      }
    });
  }
});

describe('a failing audit log', () => {
  it('refuses records when the disk is full', async () => {
    const log = await openLog({ path: '/dev/full' });
    expect(log.healthy).toBe(true);
    expect(await reasonOf(log.write(event('a')))).toBe('ENOSPC');
    expect(log.healthy).toBe(false);
    expect(log.status).toMatchObject({ kind: 'failing', reason: 'ENOSPC' });
    expect(await reasonOf(log.write(event('b')))).toBe('ENOSPC');
    await sleep(50);
    expect(log.healthy).toBe(false);
    expect(log.stats.errors).toBeGreaterThan(1);
  });

  it('recovers by itself when the disk has room again, and says how many records it refused', async () => {
    const io = new FaultyFileIo();
    const seen: AuditStatus['kind'][] = [];
    const log = await openLog({ io, onStatus: (status) => seen.push(status.kind) });
    await log.write(event('before'));
    io.failing = 'ENOSPC';
    expect(await Promise.all(['a', 'b'].map((name) => reasonOf(log.write(event(name)))))).toEqual(['ENOSPC', 'ENOSPC']);
    expect(await reasonOf(log.write(event('c')))).toBe('ENOSPC');
    io.failing = undefined;
    await until(() => log.healthy);
    await log.write(event('after'));
    expect(seen).toEqual(['failing', 'healthy']);
    expect(records().map(({ event: name }) => name)).toEqual(['service_stop', 'audit_gap', 'service_stop']);
    expect(records()[1]).toMatchObject({ refused: 3, reason: 'ENOSPC', since: expect.stringMatching(/^\d{4}-.*Z$/) });
  });

  it('holds nothing while failing', async () => {
    const log = await openLog({ path: '/dev/full' });
    const outcomes = await Promise.all(Array.from({ length: 1000 }, (_, i) => reasonOf(log.write(event(`r${i}`)))));
    expect(new Set(outcomes)).toEqual(new Set(['ENOSPC']));
    expect(log.stats.refused).toBe(1000);
    expect(log.stats.records).toBe(0);
  });

  it('lets a caller drop the promise of a record that is refused', async () => {
    const log = await openLog({ path: '/dev/full' });
    void log.write(event('a'));
    void log.write(event('b'));
    await sleep(20);
    expect(log.stats.refused).toBe(2);
  });

  it('starts failing when its path cannot be opened, and recovers when it can', async () => {
    fs.writeFileSync(join(directory, 'log'), 'a file where the directory should be');
    const log = await openLog();
    expect(log.status).toMatchObject({ kind: 'failing', reason: 'EEXIST' });
    expect(await reasonOf(log.write(event('a')))).toBe('EEXIST');
    fs.rmSync(join(directory, 'log'));
    await until(() => log.healthy);
    await log.write(event('b'));
    expect(reasons()).toEqual(['EEXIST', 'b']);
  });

  it('is failing when the path is a directory', async () => {
    fs.mkdirSync(path, { recursive: true });
    expect((await openLog()).status).toMatchObject({ kind: 'failing', reason: 'EISDIR' });
  });

  it.skipIf(process.getuid?.() === 0)('is failing when the file may not be written', async () => {
    fs.mkdirSync(join(directory, 'log'));
    fs.writeFileSync(path, '', { mode: 0o400 });
    expect((await openLog()).status).toMatchObject({ kind: 'failing', reason: 'EACCES' });
  });

  it('refuses what waits when the file system does not answer, and recovers when it does', async () => {
    const io = new FaultyFileIo();
    const log = await openLog({ io, stallTimeoutMs: 700 });
    let release = ignoreCall;
    io.script.push({ wait: new Promise<void>((resolve) => { release = resolve; }) });
    const outcomes = [reasonOf(log.write(event('a')))];
    await until(() => io.writes.length === 1);
    outcomes.push(reasonOf(log.write(event('b'))));
    expect(await Promise.all(outcomes)).toEqual(['STALLED', 'STALLED']);
    expect(log.healthy).toBe(false);
    release();
    await until(() => log.healthy);
    await log.write(event('c'));
    // `a` was in the write that stalled: refused to its caller, and yet in the file.
    expect(reasons()).toEqual(['a', 'STALLED', 'c']);
  });

  it('closes in bounded time while the file system does not answer', async () => {
    const io = new FaultyFileIo();
    const log = await openLog({ io, stallTimeoutMs: 700 });
    io.script.push({ wait: new Promise<void>(() => undefined) });
    const waiting = reasonOf(log.write(event('a')));
    await until(() => io.writes.length === 1);
    await log.close();
    expect(await waiting).toBe('CLOSED');
  });
});

describe('a file that others move or remove', () => {
  it('is opened anew on request, as logrotate does it, without losing a record', async () => {
    const log = await openLog();
    await log.write(event('a'));
    fs.renameSync(path, `${path}.1`);
    const pending = log.write(event('b'));
    await log.reopen();
    await Promise.all([pending, log.write(event('c'))]);
    expect([...reasons(`${path}.1`), ...reasons()]).toEqual(['a', 'b', 'c']);
    expect(reasons()).toContain('c');
  });

  it('is opened anew after a rename without a request', async () => {
    const notices: string[] = [];
    const log = await openLog({ onNotice: (notice) => notices.push(notice.kind) });
    await log.write(event('a'));
    fs.renameSync(path, `${path}.1`);
    await log.write(event('b'));
    await log.write(event('c'));
    expect(reasons(`${path}.1`)).toEqual(['a', 'b']);
    expect(reasons()).toEqual(['c']);
    expect(notices).toEqual(['rotated']);
  });

  it('gets the record that went to a deleted file again, and a record that says so', async () => {
    const log = await openLog();
    await log.write(event('a'));
    fs.rmSync(path);
    await log.write(event('b'));
    await log.write(event('c'));
    expect(reasons()).toEqual(['b', 'the file was deleted', 'c']);
    expect(records()[1]?.event).toBe('audit_tampered');
    expect(fs.statSync(path).mode & 0o777).toBe(0o600);
  });

  it('comes back with its directory when that was removed', async () => {
    const log = await openLog();
    await log.write(event('a'));
    rmSync(join(directory, 'log'), { recursive: true });
    await log.write(event('b'));
    expect(reasons()).toContain('b');
    expect(log.healthy).toBe(true);
  });

  it('is missed when neither it nor its directory can be made again', async () => {
    const log = await openLog();
    await log.write(event('a'));
    rmSync(join(directory, 'log'), { recursive: true });
    fs.writeFileSync(join(directory, 'log'), 'in the way');
    expect(await reasonOf(log.write(event('b')))).toBe('EEXIST');
    fs.rmSync(join(directory, 'log'));
    await until(() => log.healthy);
    await log.write(event('c'));
    expect(records()).toMatchObject([
      { event: 'audit_gap', refused: 1 },
      { event: 'audit_tampered', reason: 'the file was deleted' },
      { reason: 'c' },
    ]);
  });

  it('leaves a record behind when it was cut short in place', async () => {
    const log = await openLog();
    await log.write(event('secret deeds'));
    fs.truncateSync(path, 0);
    await log.write(event('b'));
    await log.write(event('c'));
    expect(reasons()).toEqual(['b', expect.stringMatching(/^the file was cut by \d+ bytes$/), 'c']);
  });
});

function ignoreCall(): void {
  throw new Error('replaced before it is called');
}
