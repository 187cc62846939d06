import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { Command } from 'commander';
import type { Finding } from '../../audit/chain-verifier.ts';
import { keyId, NO_KEY_ID, type ChainHead } from '../../audit/chain.ts';
import { verifyFiles, type VerifyResult } from '../../audit/verify-files.ts';
import { auditKey } from '../audit-key.ts';
import { readConfigFile } from '../config-file.ts';
import { findAuditFiles } from '../history/audit-files.ts';

interface Options {
  readonly config?: string;
  readonly keyFile: readonly string[];
  readonly head?: string;
  readonly partial?: true;
  readonly json?: true;
}

/** What a reader can take in; the rest is counted. */
const MAX_SHOWN = 100;

export function verifyCommand(): Command {
  return new Command('verify')
    .description('find out whether records of the audit log were changed, removed, put in, moved or cut off')
    .argument('<file...>', 'all files of the log, in any order (.gz too)')
    .option('-c, --config <file>', 'configuration whose audit.key sealed the log')
    .option('--key-file <file>', 'file with the key; once for each key that was ever in use', (value, all: readonly string[]) => [...all, value], [])
    .option('--head <chain:seq:mac>', 'the last record that is known from elsewhere: a checkpoint in the operational log or a sink, or GET /v1/audit/head')
    .option('--partial', 'do not mind that the beginning of the log is not among the files')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', `
Exit status: 0 if all records fit together, 1 if something is wrong (each on a line, as FILE:LINE: seq N: what), 2 if it cannot be told
(a file that cannot be read, a key that was not given).

Records cut off at the very end leave no trace in the files: only --head can show that. Without a key the chain shows accidents and careless
hands; whoever can write the files can compute it anew.`)
    .action(async (files: readonly string[], options: Options) => {
      process.exitCode = await runVerify(files, options);
    });
}

export async function runVerify(patterns: readonly string[], options: Options): Promise<number> {
  const fail = (message: string): number => {
    process.stderr.write(`${message}\n`);
    return 2;
  };
  const keys = readKeys(options);
  if (typeof keys === 'string') return fail(keys);
  const head = options.head === undefined ? undefined : parseHead(options.head);
  if (head === null) return fail(`--head: expected CHAIN:SEQ:MAC (12 hex digits, a number, 64 hex digits) or SEQ:MAC, not "${options.head}"`);
  let files: readonly string[];
  try {
    files = patterns.flatMap(filesOf);
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
  const findings: Finding[] = [];
  let count = 0;
  let bytes = 0;
  const startMs = performance.now();
  let result: VerifyResult;
  try {
    result = await verifyFiles({
      files,
      keys,
      head,
      partial: options.partial === true,
      report: (finding) => {
        count += 1;
        if (findings.length < MAX_SHOWN || finding.kind === 'unknown_key') findings.push(finding);
      },
      onBytes: (read) => { bytes += read; },
    });
  } catch (error) {
    return fail(error instanceof Error ? unreadable(error) : String(error));
  }
  if (result.records === 0) return fail('there is no record in these files');
  const seconds = (performance.now() - startMs) / 1000;
  if (options.json === true) process.stdout.write(`${JSON.stringify({ ok: count === 0, problems: count, findings, ...result })}\n`);
  else print(result, findings, { count, seconds, bytes, head, signedOnly: keys.size > 0 });
  if (findings.some(({ kind }) => kind === 'unknown_key')) return 2;
  return count === 0 ? 0 : 1;
}

/** A pattern that the shell did not fill in is ours to fill in. */
function filesOf(pattern: string): readonly string[] {
  if (!existsSync(pattern)) return findAuditFiles([pattern]).paths;
  if (statSync(pattern).isDirectory()) throw new Error(`${pattern}: is a directory; name its files: ${join(pattern, '*.ndjson')}`);
  return [pattern];
}

function unreadable(error: Error): string {
  const { code, path } = error as NodeJS.ErrnoException;
  return code === undefined ? error.message : `${path ?? 'a file'}: cannot be read (${code})`;
}

function print(result: VerifyResult, findings: readonly Finding[], facts: { count: number; seconds: number; bytes: number; head: ChainHead | undefined; signedOnly: boolean }): void {
  const out = (line: string): void => void process.stdout.write(`${line}\n`);
  for (const { file, line, seq, kind, message } of findings) out(`${file}:${line}: ${seq === undefined ? '' : `seq ${seq}: `}${kind.replaceAll('_', ' ')}: ${message}`);
  if (facts.count > findings.length) out(`... and ${facts.count - findings.length} more`);
  for (const { chain, records, firstSeq, last, firstTime, lastTime, keyIds, unsigned } of result.chains) {
    const sealed = keyIds.filter((id) => id !== NO_KEY_ID);
    out(`chain ${chain}: ${records} records, seq ${firstSeq} to ${last.seq}, ${firstTime} to ${lastTime}, ${sealed.length === 0 ? 'no key' : `key ${sealed.join(', then ')}`}`);
    if (unsigned > 0 && sealed.length > 0) out(`  ${unsigned} records from before the key was set: fixed by what follows them`);
    if (unsigned > 0 && sealed.length === 0) out('  without a key: whoever can write the files could have made all of it');
    out(`  ends with ${chain}:${last.seq}:${last.mac}`);
  }
  if (result.tornEnd !== undefined) out(`${result.tornEnd.file}: ends in the middle of a line (${result.tornEnd.bytes} bytes): a crash while writing, or somebody cut it`);
  if (facts.head === undefined) out('not checked: whether records were cut off at the end (--head)');
  out(`${facts.count === 0 ? 'all records fit together' : `${facts.count} ${facts.count === 1 ? 'problem' : 'problems'}`} (${(facts.bytes / 1e6).toFixed(1)} MB in ${facts.seconds.toFixed(1)} s, ${Math.round(result.records / facts.seconds)} records/s)`);
}

function readKeys(options: Options): ReadonlyMap<string, Buffer> | string {
  const keys = new Map<string, Buffer>();
  const add = (key: Buffer): void => void keys.set(keyId(key), key);
  if (options.config !== undefined) {
    const read = readConfigFile(options.config);
    if (!read.ok) return read.problems.join('\n');
    const key = auditKey(read.config);
    if (key !== undefined) add(key);
  }
  for (const file of options.keyFile) {
    try {
      // As the configuration reads a secret file: without its last line feed.
      add(Buffer.from(readFileSync(file, 'utf8').replace(/\r?\n$/, ''), 'utf8'));
    } catch (error) {
      return `${file}: cannot be read (${error instanceof Error && 'code' in error ? String(error.code) : String(error)})`;
    }
  }
  return keys;
}

/** null: not in the right form. */
function parseHead(text: string): ChainHead | null {
  const match = /^(?:([0-9a-f]{12}):)?([1-9][0-9]{0,14}):([0-9a-f]{64})$/.exec(text);
  return match === null ? null : { chain: match[1] ?? '', seq: Number(match[2]), mac: match[3] as string };
}
