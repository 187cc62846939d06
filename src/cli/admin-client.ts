/** The admin port of a running Rowgate, as the commands ask it. */

import { Option, type Command } from 'commander';
import { readConfigFile } from './config-file.ts';

export interface AdminTarget {
  readonly url: string;
  readonly token: string | undefined;
}

export interface AdminOptions {
  readonly config?: string;
  readonly url?: string;
  readonly token?: string;
}

/** A sentence for people; the command ends with it. */
export class AdminError extends Error {
  override readonly name = 'AdminError';
}

/** Where Rowgate is: told by its configuration, or by hand. */
export function addAdminOptions(command: Command): Command {
  return command
    .option('-c, --config <file>', 'configuration of the running Rowgate: tells its admin address and token')
    .option('--url <url>', 'admin address, e.g. http://127.0.0.1:9187, instead of the one in the configuration')
    .addOption(new Option('--token <token>', 'admin token, instead of the one in the configuration').env('ROWGATE_ADMIN_TOKEN'));
}

/** Throws `AdminError` if the options do not say where Rowgate is. */
export function adminTarget(options: AdminOptions): AdminTarget {
  if (options.config === undefined) {
    if (options.url === undefined) throw new AdminError('say where Rowgate is: -c FILE, or --url and --token');
    return { url: options.url.replace(/\/+$/, ''), token: options.token };
  }
  const read = readConfigFile(options.config);
  if (!read.ok) throw new AdminError(read.problems.join('\n'));
  const { admin } = read.config;
  const host = admin.host === '0.0.0.0' ? '127.0.0.1' : admin.host === '::' ? '[::1]' : admin.host.includes(':') ? `[${admin.host}]` : admin.host;
  return { url: options.url?.replace(/\/+$/, '') ?? `http://${host}:${admin.port}`, token: options.token ?? admin.token?.reveal() };
}

const TIMEOUT_MS = 10_000;

/** The answer's JSON, or `AdminError` with what went wrong and what to do about it. */
export async function askAdmin(target: AdminTarget, method: 'GET' | 'POST' | 'DELETE', path: string, body?: unknown): Promise<unknown> {
  let response: Response;
  try {
    response = await fetch(`${target.url}${path}`, {
      method,
      headers: { ...(target.token === undefined ? {} : { authorization: `Bearer ${target.token}` }), ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch (error) {
    throw new AdminError(`no Rowgate answers at ${target.url} (${reasonOf(error)}); is it running, and is this its admin address?`);
  }
  const answer: unknown = await response.json().catch(() => undefined);
  if (response.ok) return answer;
  if (response.status === 401) throw new AdminError(`${target.url} does not take the admin token`);
  const message = isRecord(answer) && typeof answer['message'] === 'string' ? answer['message'] : `HTTP ${response.status}`;
  if (response.status === 404 && target.token === undefined) throw new AdminError(`${message}; without admin.token this endpoint is off`);
  throw new AdminError(message);
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  if (cause instanceof Error && 'code' in cause) return String(cause.code);
  return error.name === 'TimeoutError' ? 'no answer in time' : error.message;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Runs a command's work; an `AdminError` becomes one line on stderr and exit code 1. */
export async function reporting(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof AdminError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}

/** Draws `page` once, or again every few seconds on a cleared terminal. Ends with the process. */
export async function drawing(watch: number | undefined, page: () => Promise<string>): Promise<void> {
  if (watch === undefined) {
    process.stdout.write(`${await page()}\n`);
    return;
  }
  for (;;) {
    const text = await page();
    // ED 3J too: without it the old pages stay in the scroll-back.
    if (process.stdout.isTTY) process.stdout.write('\u001B[2J\u001B[3J\u001B[H');
    process.stdout.write(`${new Date().toISOString()}\n${text}\n`);
    await new Promise((resolve) => { setTimeout(resolve, watch * 1000); });
  }
}
