/** What both sides of SCRAM-SHA-256 compute (RFC 5802, RFC 7677), and a verifier as PostgreSQL stores it. */

import { createHash, createHmac, pbkdf2, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { normalizePassword } from './password-text.ts';

export const SCRAM = 'SCRAM-SHA-256';
export const SCRAM_PLUS = 'SCRAM-SHA-256-PLUS';
/** `SCRAM_SHA_256_DEFAULT_ITERATIONS` (src/include/common/scram-common.h). */
export const DEFAULT_ITERATIONS = 4096;
export const KEY_BYTES = 32;
/** `SCRAM_DEFAULT_SALT_LEN`. */
export const SALT_BYTES = 16;
/** Bounds what a server can make us compute. PostgreSQL's own setting goes further; nobody waits that long for a login. */
export const MAX_ITERATIONS = 5_000_000;

export interface ScramVerifier {
  readonly salt: Buffer;
  readonly iterations: number;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

/** Proves who somebody is, to a server that holds the same verifier. */
export interface ScramKeys {
  readonly clientKey: Buffer;
  readonly serverKey: Buffer;
}

const derive = promisify(pbkdf2);

export function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text, 'latin1').digest();
}

export function sha256(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest();
}

export function xor(a: Buffer, b: Buffer): Buffer {
  return Buffer.from(a.map((byte, at) => byte ^ (b[at] as number)));
}

export async function keysOf(password: string, salt: Buffer, iterations: number): Promise<ScramKeys> {
  const salted = await derive(normalizePassword(password), salt, iterations, KEY_BYTES, 'sha256');
  return { clientKey: hmac(salted, 'Client Key'), serverKey: hmac(salted, 'Server Key') };
}

export async function makeVerifier(password: string, options: { readonly salt?: Buffer; readonly iterations?: number } = {}): Promise<ScramVerifier> {
  const salt = options.salt ?? randomBytes(SALT_BYTES);
  const iterations = options.iterations ?? DEFAULT_ITERATIONS;
  const { clientKey, serverKey } = await keysOf(password, salt, iterations);
  return { salt, iterations, storedKey: sha256(clientKey), serverKey };
}

/** `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, as in pg_authid.rolpassword. */
export function formatVerifier({ salt, iterations, storedKey, serverKey }: ScramVerifier): string {
  return `${SCRAM}$${iterations}:${salt.toString('base64')}$${storedKey.toString('base64')}:${serverKey.toString('base64')}`;
}

const VERIFIER = /^SCRAM-SHA-256\$([1-9][0-9]{0,8}):([A-Za-z0-9+/]+={0,2})\$([A-Za-z0-9+/]{43}=):([A-Za-z0-9+/]{43}=)$/;

/** Undefined if it is not one: a password of another kind, or a text that somebody mangled. */
export function parseVerifier(text: string): ScramVerifier | undefined {
  const match = VERIFIER.exec(text);
  if (match === null) return undefined;
  const [, iterations = '', salt = '', storedKey = '', serverKey = ''] = match;
  const saltBytes = decodeBase64(salt);
  if (saltBytes === undefined || saltBytes.length === 0) return undefined;
  return { salt: saltBytes, iterations: Number(iterations), storedKey: Buffer.from(storedKey, 'base64'), serverKey: Buffer.from(serverKey, 'base64') };
}

/** Strictly: Node skips over what is no base64. */
export function decodeBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}

/** 18 random bytes, as PostgreSQL takes (`SCRAM_RAW_NONCE_LEN`). */
export function newNonce(): string {
  return randomBytes(18).toString('base64');
}
