import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CALL_CENTRE_MONTH, writeMadeAudit } from '../../support/made-audit.ts';

const run = promisify(execFile);
const MAIN = join(import.meta.dirname, '../../../dist/cli/main.js');
const env = { ...process.env, ROWGATE_PASSWORD: 'x', ROWGATE_ADMIN_TOKEN: 'y' };

interface Json {
  readonly statements: number;
  readonly blocked: number;
  readonly people: readonly { readonly principal: string; readonly delivered: number; readonly units: number; readonly simulated: { readonly blocked: number; readonly first: string | null; readonly firstRule?: string }; readonly inForce: { readonly blocked: number } }[];
}

let directory = '';
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'rowgate-history-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function rowgate(...args: readonly string[]): Promise<string> {
  const { stdout } = await run(process.execPath, [MAIN, ...args], { env, maxBuffer: 64 * 1024 * 1024 });
  return stdout;
}

function line(at: string, principal: string, units: number, more: Record<string, unknown> = {}, ofClass: Record<string, unknown> = {}): string {
  return `${JSON.stringify({ v: 1, time: at, seq: 1, event: 'statement_end', principal, roles: ['support'], classes: [{ class: 'customers', units, ...ofClass }], bytes: 100 * units, decision: 'allow', ...more })}\n`;
}

function policy(quotas: string, more = ''): string {
  const path = join(directory, 'policy.yaml');
  writeFileSync(path, `version: 1
listen: { host: 127.0.0.1, port: 6432 }
upstream: { host: 127.0.0.1, port: 5432 }
catalog: { user: rowgate }
store: { memory: true }
audit: { file: audit.ndjson }
admin: { host: 127.0.0.1, port: 9187 }
classes: { customers: { relations: { crm.customers: { subject: id } } } }
roles: { support: { members: ["agent*"], quotas: [${quotas}] } }
unlisted: block
${more}`);
  return path;
}

async function simulate(quotas: string, files: Record<string, string | Buffer>, more = ''): Promise<Json> {
  for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content);
  return JSON.parse(await rowgate('simulate', '-c', policy(quotas, more), '--audit', ...Object.keys(files).map((name) => join(directory, name)), '--json')) as Json;
}

describe('a month of a call centre with one slow thief', () => {
  let file = '';
  let honest = 0;
  beforeAll(async () => {
    file = join(directory, 'month.ndjson');
    honest = await writeMadeAudit(file, CALL_CENTRE_MONTH);
  }, 120_000);

  test('the shipped call-centre policy names the thief, says what he would have been limited to, and stops nobody else', async () => {
    const html = join(directory, 'report.html');
    const out = JSON.parse(await rowgate('simulate', '-c', join(import.meta.dirname, '../../../config/call-centre.yaml'), '--audit', file, '--json', '--html', html)) as Json;
    const stopped = out.people.filter((person) => person.simulated.blocked > 0);
    expect(stopped.map((person) => person.principal)).toEqual([CALL_CENTRE_MONTH.thief.principal]);
    expect(stopped[0]?.simulated.firstRule).toBe('agents/customers/subjects/30d');
    expect(stopped[0]?.delivered).toBeLessThan(4000);
    expect(stopped[0]?.units).toBeGreaterThan(5000);
    const report = readFileSync(html, 'utf8');
    expect(report).toContain('agent_137');
    expect(report).not.toMatch(/(src|href)=["']?http/);
    // Whoever was stopped is seen first; the 199 others can be unfolded.
    expect(report.indexOf('agent_137')).toBeLessThan(report.indexOf('<details>'));
    expect(report).toContain('<summary>199 who would not have been</summary>');
    // What stayed within the limit stands before its line: the limit is a bin's upper edge.
    const plots = JSON.parse(/const plots = (.*);\n/.exec(report)?.[1] ?? '[]') as { limit: number; days: [number[], number[]] }[];
    for (const { limit, days } of plots) expect(days[0].some((edge) => Math.abs(edge - limit) < 1e-6 * limit)).toBe(true);
  }, 120_000);

  test('suggest names the thief, and under its limits less than 0.1 % of honest statements are refused', async () => {
    const suggested = await rowgate('suggest', '--audit', file);
    expect(suggested).toMatch(/Left out, look at it: agent_137/);
    const quotas = [...suggested.matchAll(/- (\{ class.*\})/g)].map((match) => match[1]).join(', ');
    const out = JSON.parse(await rowgate('simulate', '-c', policy(quotas), '--audit', file, '--json')) as Json;
    const refused = out.people.filter((person) => person.principal !== CALL_CENTRE_MONTH.thief.principal).reduce((sum, person) => sum + person.simulated.blocked, 0);
    expect(refused).toBeLessThan(honest / 1000);
    expect(out.people.find((person) => person.principal === CALL_CENTRE_MONTH.thief.principal)?.simulated.blocked).toBeGreaterThan(100);
  }, 120_000);
});

describe('suggest', () => {
  test('proposes nothing for windows that the records cannot tell of', async () => {
    const day = Array.from({ length: 9 }, (_, hour) => line(`2026-01-01T${String(8 + hour).padStart(2, '0')}:00:00.000Z`, 'agent', 3)).join('');
    writeFileSync(join(directory, 'day.ndjson'), day);
    const text = await rowgate('suggest', '--audit', join(directory, 'day.ndjson'));
    expect(text).toContain('# No limits for 30d: the records do not reach back far enough');
    expect([...text.matchAll(/window: (\w+)/g)].map((match) => match[1])).toEqual(['statement', '1h', '24h']);
  });
});

describe('simulate', () => {
  test('a statement that passes a quota is cut at it, and counts as blocked from its own time on', async () => {
    const out = await simulate('{ class: customers, window: 1h, rows: 10, action: block }', {
      'a.ndjson': line('2026-01-01T10:00:00.000Z', 'agent', 6) + line('2026-01-01T10:10:00.000Z', 'agent', 6) + line('2026-01-01T10:20:00.000Z', 'agent', 1) + line('2026-01-01T12:00:00.000Z', 'agent', 6),
    });
    expect(out.people[0]).toMatchObject({ delivered: 16, units: 19, simulated: { blocked: 2, first: '2026-01-01T10:10:00.000Z', firstRule: 'support/customers/rows/1h' } });
  });

  test('files that overlap are read in the order of their times, compressed ones too', async () => {
    const out = await simulate('{ class: customers, window: 1h, rows: 10, action: block }', {
      'b.ndjson': line('2026-01-01T10:00:00.000Z', 'agent', 6) + line('2026-01-01T12:30:00.000Z', 'agent', 6),
      'c.ndjson.gz': gzipSync(line('2026-01-01T10:10:00.000Z', 'agent', 6) + line('2026-01-01T14:30:00.000Z', 'agent', 6)),
    });
    expect(out.people[0]).toMatchObject({ simulated: { blocked: 1, first: '2026-01-01T10:10:00.000Z' } });
  });

  test('a person who comes again in the window is counted once', async () => {
    const again = (at: string, key: string): string => line(`2026-01-01T${at}:00.000Z`, 'agent', 1, {}, { subjects: 1, subject_keys: [key] });
    const out = await simulate('{ class: customers, window: 1h, subjects: 2, action: block }', {
      'd.ndjson': again('10:00', 'x') + again('10:01', 'x') + again('10:02', 'y') + again('10:03', 'x') + again('10:04', 'z') + again('11:30', 'z'),
    });
    expect(out.people[0]?.simulated).toMatchObject({ blocked: 1, first: '2026-01-01T10:04:00.000Z' });
  });

  test('a login in no role is blocked as the new policy says, and what was in force then stands beside it', async () => {
    const out = await simulate('{ class: customers, window: 1h, rows: 10, action: block }', {
      'e.ndjson': line('2026-01-01T10:00:00.000Z', 'stranger', 5) + line('2026-01-01T10:00:00.000Z', 'agent', 1, { decision: 'block', rule_id: 'old/rule' }),
    });
    expect(out.people.find((person) => person.principal === 'stranger')).toMatchObject({ delivered: 0, simulated: { blocked: 1, firstRule: 'unlisted/block' } });
    expect(out.people.find((person) => person.principal === 'agent')).toMatchObject({ simulated: { blocked: 0 }, inForce: { blocked: 1 } });
  });

  test('monitor mode flags what enforce would have blocked', async () => {
    const out = await simulate('{ class: customers, window: 1h, rows: 3, action: block }', { 'f.ndjson': line('2026-01-01T10:00:00.000Z', 'agent', 5) }, 'mode: monitor\n');
    expect(out).toMatchObject({ blocked: 0, flagged: 1 });
  });

  test('a torn line is left out and told of, the others count', async () => {
    writeFileSync(join(directory, 'g.ndjson'), `${line('2026-01-01T10:00:00.000Z', 'agent', 5)}{"v":1,"event":"statement_end","tim`);
    const { stderr, stdout } = await run(process.execPath, [MAIN, 'simulate', '-c', policy('{ class: customers, window: 1h, rows: 3, action: block }'), '--audit', join(directory, 'g.ndjson')], { env });
    expect(stderr).toContain('1 line is no JSON and was left out');
    expect(stdout).toContain('agent');
  });

  test('a file that is no audit log is told of, and so is one whose only line has no end', async () => {
    writeFileSync(join(directory, 'h.txt'), 'version: 1\nmode: enforce\n');
    const of = async (name: string): Promise<string> => (await run(process.execPath, [MAIN, 'simulate', '-c', policy('{ class: customers, window: 1h, rows: 3, action: block }'), '--audit', join(directory, name)], { env })).stderr;
    expect(await of('h.txt')).toContain('2 lines are no JSON and were left out');
    writeFileSync(join(directory, 'i.ndjson'), `${line('2026-01-01T10:00:00.000Z', 'agent', 5)}{${'x'.repeat(40 * 1024 * 1024)}`);
    expect(await of('i.ndjson')).toMatch(/^2 records .*; 1 line is no JSON/);
  });

  test('no file is one clear line and an error', async () => {
    await expect(rowgate('simulate', '-c', policy('{ class: customers, window: 1h, rows: 3, action: block }'), '--audit', join(directory, 'none*.ndjson'))).rejects.toMatchObject({ stderr: expect.stringContaining('no file matches') as string, code: 1 });
  });
});
