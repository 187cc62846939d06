/** The writer is killed under load, or gets no more room, as a real process. */

import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

const writerScript = `
import { AuditLog } from '${new URL('../../dist/audit/audit-log.js', import.meta.url).href}';
const [path, sync, size] = process.argv.slice(1);
const key = Buffer.from('0123456789abcdef0123456789abcdef');
let log;
try {
  log = await AuditLog.open({ path, key, sync: sync === 'record' ? 'record' : undefined, rotation: size === undefined ? {} : { sizeBytes: Number(size) }, retryMinMs: 10 });
} catch (error) {
  console.log('REFUSED ' + error.message);
  process.exit(3);
}
let written = 0;
for (let i = 0; i < 50; i++) (async () => {
  for (;;) {
    try {
      await log.write({ event: 'service_stop', reason: 'x'.repeat(written % 300) });
      written++;
    } catch (error) {
      console.log('ERROR ' + error.reason);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
})();
// What was promised: printed synchronously, so a kill does not lose it.
const { writeSync } = await import('node:fs');
setInterval(() => writeSync(1, 'HEAD ' + log.head.seq + ':' + log.head.mac + '\\n'), 5);
`;

let directory: string;
let keyFile: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'rowgate-kill-'));
  keyFile = join(directory, 'key');
  spawnSync('sh', ['-c', `printf %s 0123456789abcdef0123456789abcdef > ${keyFile}; mkdir ${directory}/log`]);
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** Runs a writer until it has told of `heads` heads, kills it, and returns what it printed. */
async function killUnderLoad(heads: number, args: readonly string[], command: readonly string[] = []): Promise<string[]> {
  const [program, ...front] = [...command, process.execPath];
  const child = spawn(program, [...front, '--input-type=module', '-e', writerScript, join(directory, 'log', 'rowgate.ndjson'), ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  let out = '';
  await new Promise<void>((resolve) => {
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString('utf8');
      if (out.split('HEAD ').length > heads) child.kill('SIGKILL');
    });
    child.once('close', () => resolve());
  });
  return out.split('\n').filter((line) => line !== '');
}

function verify(...args: string[]): { status: number | null; out: string } {
  const result = spawnSync('sh', ['-c', `exec "${process.execPath}" dist/cli/main.js audit verify --key-file ${keyFile} ${args.join(' ')} ${directory}/log/*.ndjson`]);
  return { status: result.status, out: `${result.stdout.toString()}${result.stderr.toString()}` };
}

function lastHead(printed: readonly string[]): string {
  return printed.findLast((line) => /^HEAD \d+:[0-9a-f]{64}$/.test(line))?.slice(5) ?? '';
}

test.each([['interval'], ['record'], ['interval', '20000']])('kill -9 under load leaves files that verify up to their last record, again and again (sync: %s %s)', async (...args) => {
  for (let round = 0; round < 5; round++) {
    const printed = await killUnderLoad(8 + round * 3, args);
    const result = verify('--head', lastHead(printed));
    expect(result.out).toContain('all records fit together');
    expect(result.status).toBe(0);
  }
  expect(verify().out).toMatch(/chain [0-9a-f]{12}: \d{2,} records, seq 1 to/);
});

test('a second writer of the same file is refused, and one that comes after a killed one is not', async () => {
  const path = join(directory, 'log', 'rowgate.ndjson');
  const first = spawn(process.execPath, ['--input-type=module', '-e', writerScript, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise<void>((resolve) => first.stdout.once('data', () => resolve()));
  const second = spawnSync(process.execPath, ['--input-type=module', '-e', writerScript, path]);
  expect(second.status).toBe(3);
  expect(second.stdout.toString()).toContain(`REFUSED another process writes the audit file ${path}; give each its own audit.file or audit.writer`);
  first.kill('SIGKILL');
  await new Promise<void>((resolve) => first.once('close', () => resolve()));
  expect((await killUnderLoad(3, [])).some((line) => line.startsWith('HEAD'))).toBe(true);
  expect(verify().status).toBe(0);
});

test('a file that may not grow any more (RLIMIT_FSIZE) refuses records, and goes on where it ended when it may', async () => {
  const path = join(directory, 'log', 'rowgate.ndjson');
  const printed = await killUnderLoad(60, [], ['prlimit', '--fsize=50000']);
  expect(printed.some((line) => line === 'ERROR EFBIG')).toBe(true);
  expect(readFileSync(path).length).toBe(50_000);
  expect(verify('--head', lastHead(printed)).status).toBe(0);
  const more = await killUnderLoad(5, []);
  expect(verify('--head', lastHead(more)).out).toContain('all records fit together');
  expect(readFileSync(path, 'utf8')).toMatch(/"event":"audit_open","reason":"continued".*"torn_bytes":\d+/);
});

const mountable = process.platform === 'linux' && process.getuid?.() === 0;
test.skipIf(!mountable || spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', '/mnt']).status !== 0)(
  'a full disk (tmpfs) refuses records; with room again the log tells what it could not take, and all fits together',
  async () => {
    const log = join(directory, 'log');
    expect(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', log]).status).toBe(0);
    try {
      spawnSync('sh', ['-c', `head -c 160000 /dev/zero > ${log}/ballast`]);
      const child = spawn(process.execPath, ['--input-type=module', '-e', writerScript, join(log, 'rowgate.ndjson')], { stdio: ['ignore', 'pipe', 'inherit'] });
      let out = '';
      child.stdout.on('data', (chunk: Buffer) => { out += chunk.toString('utf8'); });
      await expect.poll(() => out, { timeout: 15_000 }).toContain('ERROR ENOSPC');
      rmSync(join(log, 'ballast'));
      await expect.poll(() => readFileSync(join(log, 'rowgate.ndjson'), 'utf8').includes('"event":"audit_gap"'), { timeout: 15_000 }).toBe(true);
      child.kill('SIGKILL');
      await new Promise<void>((resolve) => child.once('close', () => resolve()));
      const result = verify();
      expect(result.out).toContain('all records fit together');
      expect(result.status).toBe(0);
    } finally {
      spawnSync('umount', [log]);
    }
  },
);
