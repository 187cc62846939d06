/** Finds canary tokens in everything that a client received, also where an attack encoded them. */

import { createHash } from 'node:crypto';

const TOKEN = /cnry-\d{6}-[0-9a-f]{8}/g;
/** A token in hex is 40 digits, in base64 28 signs; two of them may stand side by side without a boundary. */
const HEX = /[0-9a-fA-F]{40,}/g;
const BASE64 = /[A-Za-z0-9+/\n]{26,}={0,2}/g;
const HASH = /[0-9a-f]{32,64}/g;

const known = new WeakMap<ReadonlyMap<number, string>, Known>();

interface Known {
  readonly tokens: ReadonlySet<string>;
  /** Tokens by their md5 and sha256 in hex. */
  readonly hashes: ReadonlyMap<string, string>;
}

function knownOf(tokens: ReadonlyMap<number, string>): Known {
  let result = known.get(tokens);
  if (result === undefined) {
    const hashes = new Map([...tokens.values()].flatMap((token) => ['md5', 'sha256'].map((algorithm) => [createHash(algorithm).update(token).digest('hex'), token])));
    result = { tokens: new Set(tokens.values()), hashes };
    known.set(tokens, result);
  }
  return result;
}

/** Distinct customers whose token is in what was received: as it is, reversed, in hex, in base64, as md5 or sha256, in UTF-16. */
export function countTokens(bytes: readonly Buffer[], tokens: ReadonlyMap<number, string>, decoded = ''): number {
  const { tokens: all, hashes } = knownOf(tokens);
  const found = new Set<string>();
  const take = (text: string): void => {
    for (const [token] of text.matchAll(TOKEN)) if (all.has(token)) found.add(token);
  };
  const takeHashes = (text: string): void => {
    for (const [run] of text.matchAll(HASH)) {
      for (const length of [32, 64]) {
        for (let at = 0; at + length <= run.length; at += length) {
          const token = hashes.get(run.slice(at, at + length));
          if (token !== undefined) found.add(token);
        }
      }
    }
  };
  for (const each of [...bytes.map((part) => part.toString('latin1')), decoded]) {
    take(each);
    take(Buffer.from(each, 'latin1').reverse().toString('latin1'));
    take(each.replaceAll('\0', ''));
    takeHashes(each);
    for (const [run] of each.matchAll(HEX)) take(Buffer.from(run, 'hex').toString('latin1'));
    // A run may begin at any of four places.
    for (const [run] of each.matchAll(BASE64)) {
      const digits = run.replaceAll('\n', '');
      for (let shift = 0; shift < 4; shift++) take(Buffer.from(digits.slice(shift), 'base64').toString('latin1'));
    }
  }
  return found.size;
}

/** For attacks that learn a hash bit by bit: the tokens of those bits that are set, each as `32 * id + bit`, the most significant bit first. */
export function tokensOfBits(keys: Iterable<number>): string {
  const hashes = new Map<number, number>();
  for (const key of keys) hashes.set(key >> 5, ((hashes.get(key >> 5) ?? 0) | (1 << (31 - (key & 31)))) >>> 0);
  return [...hashes].map(([id, hash]) => `cnry-${String(id).padStart(6, '0')}-${hash.toString(16).padStart(8, '0')} `).join('');
}
