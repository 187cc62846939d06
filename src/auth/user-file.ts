/** A file of users, read again whenever it was changed. */

import { readFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { DEFAULT_ITERATIONS, parseVerifier, type ScramVerifier } from './scram.ts';
import { readUserLines } from './user-lines.ts';
import type { FoundVerifier, VerifierSource } from './verifiers.ts';

export class UserFileError extends Error {
  override readonly name = 'UserFileError';
}

type ReadText = (path: string) => string;

function readEntries<T>(path: string, key: string, parse: (value: string) => T | undefined, expected: string, readText: ReadText): ReadonlyMap<string, T> {
  let text: string;
  try {
    text = readText(path);
  } catch (error) {
    throw new UserFileError(`${key}: ${path} cannot be read (${error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'})`, { cause: error });
  }
  const read = readUserLines(text);
  if (!read.ok) throw new UserFileError(`${key}: ${path}:${read.line}: ${read.problem}`);
  return new Map(
    read.lines.map(({ user, value, line }) => {
      const parsed = parse(value);
      if (parsed === undefined) throw new UserFileError(`${key}: ${path}:${line}: expected ${expected}`);
      return [user, parsed];
    }),
  );
}

const utf8: ReadText = (path) => readFileSync(path, 'utf8');

/** `auth.users`. */
export function readVerifiers(path: string, readText: ReadText = utf8): ReadonlyMap<string, ScramVerifier> {
  return readEntries(path, 'auth.users', parseVerifier, 'NAME: SCRAM-SHA-256$..., which "rowgate users NAME" makes', readText);
}

/** `auth.upstream_users`. */
export function readPasswords(path: string, readText: ReadText = utf8): ReadonlyMap<string, string> {
  return readEntries(path, 'auth.upstream_users', (value) => value, 'NAME: PASSWORD', readText);
}

/** Entries of a file that is looked at each time they are asked for: its place, size and time tell whether it was changed. */
export class UserFile<T> {
  readonly #path: string;
  readonly #read: (path: string) => ReadonlyMap<string, T>;
  readonly #onProblem: (error: unknown) => void;
  #entries: ReadonlyMap<string, T>;
  #state = '';

  /** Throws `UserFileError` if the file cannot be used. */
  constructor(path: string, read: (path: string) => ReadonlyMap<string, T>, onProblem: (error: unknown) => void) {
    this.#path = path;
    this.#read = read;
    this.#onProblem = onProblem;
    this.#entries = read(path);
  }

  /** A file that cannot be used any more is told of, and what it said before stays. */
  async entries(): Promise<ReadonlyMap<string, T>> {
    try {
      const { ino, size, mtimeNs, ctimeNs } = await stat(this.#path, { bigint: true });
      const state = `${ino} ${size} ${mtimeNs} ${ctimeNs}`;
      if (state !== this.#state) {
        this.#state = state;
        this.#entries = this.#read(this.#path);
      }
    } catch (error) {
      this.#onProblem(error);
    }
    return this.#entries;
  }
}

export class FileVerifiers implements VerifierSource {
  readonly #file: UserFile<ScramVerifier>;
  iterations = DEFAULT_ITERATIONS;

  constructor(path: string, onProblem: (error: unknown) => void) {
    this.#file = new UserFile(path, readVerifiers, onProblem);
  }

  async find(user: string): Promise<FoundVerifier> {
    const entries = await this.#file.entries();
    this.iterations = mostCommonIterations(entries);
    const verifier = entries.get(user);
    return verifier === undefined ? { kind: 'none', why: 'the login is not in the file of users' } : { kind: 'verifier', verifier };
  }

  async close(): Promise<void> {
    // Nothing is held open.
  }
}

function mostCommonIterations(entries: ReadonlyMap<string, ScramVerifier>): number {
  const counts = new Map<number, number>();
  for (const { iterations } of entries.values()) counts.set(iterations, (counts.get(iterations) ?? 0) + 1);
  return [...counts].toSorted((a, b) => b[1] - a[1])[0]?.[0] ?? DEFAULT_ITERATIONS;
}
