import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, it } from 'vitest';
import { JournalFile } from '../../../src/quota/journal-file.ts';

const directory = mkdtempSync(join(tmpdir(), 'rowgate-journal-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const counter = { key: 'q:{c}:rows:60000:p:agent', windowMs: 60_000 };
let serial = 0;
const fresh = (): string => join(directory, `j${(serial += 1)}`);

it('remembers grants, refunds, debts and who it is', async () => {
  const path = fresh();
  const first = await JournalFile.open({ path, sync: '1s' });
  void first.granted('', 7, 1_000_000, [{ counter, units: 10 }]);
  first.refunded('', 1_000_000, [{ counter, units: 3 }]);
  first.owed('', [{ counter, units: 5 }], 1);
  first.owed('', [{ counter, units: 2 }], -1);
  await first.close();
  const second = await JournalFile.open({ path, sync: '1s' });
  expect(second.member).toBe(first.member);
  expect(second.past('')).toEqual({ sequence: 7, seenMs: 1_000_000, grants: [{ counter, atMs: 1_000_000, units: 7 }], debt: [{ counter, units: 3 }] });
  expect(second.past('other')).toBeUndefined();
  await second.close();
});

it('keeps the times of several counters apart', async () => {
  const path = fresh();
  const other = { key: 'q:{c}:rows:60000:p:other', windowMs: 60_000 };
  const first = await JournalFile.open({ path, sync: 'never' });
  void first.granted('', 1, 1_000_000, [{ counter, units: 1 }]);
  void first.granted('', 2, 1_005_000, [{ counter: other, units: 1 }]);
  void first.granted('', 3, 1_030_000, [{ counter, units: 1 }]);
  void first.granted('', 4, 1_030_000, [{ counter: other, units: 1 }]);
  await first.close();
  const second = await JournalFile.open({ path, sync: 'never' });
  expect(second.past('')?.grants.filter((each) => each.counter.key === other.key).map(({ atMs }) => atMs)).toEqual([1_005_000, 1_030_000]);
  await second.close();
});

it('survives a line that was torn by a crash, and refuses a file that is no journal', async () => {
  const path = fresh();
  const first = await JournalFile.open({ path, sync: 'always' });
  await first.granted('', 7, 1_000_000, [{ counter, units: 10 }]);
  await first.close();
  appendFileSync(path, '["g","",8,100');
  const second = await JournalFile.open({ path, sync: 'always' });
  expect(second.past('')?.sequence).toBe(7);
  await second.close();
  const foreign = fresh();
  writeFileSync(foreign, 'something else\nof somebody\n');
  await expect(JournalFile.open({ path: foreign, sync: '1s' })).rejects.toThrow(/line 1/u);
  expect(readFileSync(foreign, 'utf8')).toContain('somebody');
});

it('has on the disk what it has said is safe, when the process is killed', async () => {
  const path = fresh();
  const journal = await JournalFile.open({ path, sync: 'always' });
  await Promise.all(Array.from({ length: 50 }, async (_, i) => { await journal.granted('', i + 1, 1_000_000 + i, [{ counter, units: 1 }]); }));
  // As another process would find it now.
  const lines = readFileSync(path, 'utf8').trim().split('\n').filter((line) => line.startsWith('["g"'));
  expect(lines).toHaveLength(50);
  await journal.close();
});

it('stays bounded, whatever is granted', async () => {
  const path = fresh();
  const journal = await JournalFile.open({ path, sync: 'never', compactBytes: 20_000 });
  for (let i = 1; i <= 5000; i += 1) {
    void journal.granted('', i, 1_000_000 + i * 10, [{ counter, units: 1 }]);
    if (i % 50 === 0) await sleep(1);
  }
  await journal.close();
  expect(statSync(path).size).toBeLessThan(60_000);
  const again = await JournalFile.open({ path, sync: 'never' });
  expect(again.past('')?.grants.reduce((sum, { units }) => sum + units, 0)).toBe(5000);
  await again.close();
});

it('is one process\'s own', async () => {
  const path = fresh();
  const holder = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
  writeFileSync(`${path}.lock`, String(holder.pid));
  await expect(JournalFile.open({ path, sync: '1s' })).rejects.toThrow(/in use by process/u);
  holder.kill('SIGKILL');
  await new Promise((resolve) => holder.once('exit', resolve));
  await (await JournalFile.open({ path, sync: '1s' })).close();
  expect(existsSync(`${path}.lock`)).toBe(false);
});

it('tells of a disk that fails, and writes everything when it works again', async () => {
  const folder = join(directory, 'gone');
  mkdirSync(folder);
  const path = join(folder, 'journal');
  const errors: Error[] = [];
  const journal = await JournalFile.open({ path, sync: 'always', compactBytes: 1, onError: (error) => errors.push(error) });
  rmSync(folder, { recursive: true });
  // Compaction cannot write the new file.
  await journal.granted('', 1, 1_000_000, [{ counter, units: 4 }]);
  expect(errors).toHaveLength(1);
  await journal.granted('', 2, 1_000_000, [{ counter, units: 4 }]);
  mkdirSync(folder);
  for (let i = 0; i < 200 && !existsSync(path); i += 1) await sleep(50);
  expect(readFileSync(path, 'utf8')).toContain('8]]');
  await journal.close();
});
