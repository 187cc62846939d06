/** Certificates and keys from files: read whole, held together as one state, looked at again now and then. */

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import type { ListenTlsConfig, UpstreamTlsConfig } from '../policy/config.ts';

/** A file that cannot be read or used. The text names the key of the configuration and the file. */
export class TlsFileError extends Error {
  override readonly name = 'TlsFileError';
}

export type ReadFile = (path: string) => Buffer;

export interface TlsMaterial {
  readonly cert: Buffer | undefined;
  readonly key: Buffer | undefined;
  readonly ca: Buffer | undefined;
  /** Changes when one of the files does. */
  readonly sha256: string;
}

export function readListenTls(config: ListenTlsConfig, readFile: ReadFile = readFileSync): TlsMaterial {
  return readMaterial({ cert: config.cert, key: config.key, ca: config.clientCa }, { cert: 'listen.tls.cert', key: 'listen.tls.key', ca: 'listen.tls.client_ca' }, readFile);
}

export function readUpstreamTls(config: UpstreamTlsConfig, readFile: ReadFile = readFileSync): TlsMaterial {
  return readMaterial({ cert: config.cert, key: config.key, ca: config.ca }, { cert: 'upstream.tls.cert', key: 'upstream.tls.key', ca: 'upstream.tls.ca' }, readFile);
}

type Part = 'cert' | 'key' | 'ca';

function readMaterial(files: Readonly<Record<Part, string | undefined>>, keys: Readonly<Record<Part, string>>, readFile: ReadFile): TlsMaterial {
  const hash = createHash('sha256');
  const read = (part: Part): Buffer | undefined => {
    const path = files[part];
    if (path === undefined) return undefined;
    let bytes: Buffer;
    try {
      bytes = readFile(path);
    } catch (error) {
      throw new TlsFileError(`${keys[part]}: ${path} cannot be read (${codeOf(error)})`, { cause: error });
    }
    hash.update(`${part} ${bytes.length}\n`).update(bytes);
    return bytes;
  };
  const cert = read('cert');
  const key = read('key');
  const ca = read('ca');
  tryOut({ cert }, keys.cert, files.cert);
  // A key that does not belong to the certificate is told here, too.
  tryOut({ cert, key }, keys.key, files.key);
  tryOut({ ca }, keys.ca, files.ca);
  if (ca !== undefined && !ca.includes('-----BEGIN ')) throw new TlsFileError(`${keys.ca}: ${String(files.ca)} holds no certificate in PEM`);
  return { cert, key, ca, sha256: hash.digest('hex') };
}

function tryOut(options: SecureContextOptions, key: string, path: string | undefined): void {
  if (path === undefined) return;
  try {
    createSecureContext(options);
  } catch (error) {
    // OpenSSL's reason, not the whole line: that one has numbers and file names of its source.
    const reason = error instanceof Error ? (/:([a-z][^:]*)$/i.exec(error.message)?.[1] ?? error.message) : String(error);
    throw new TlsFileError(`${key}: ${path} cannot be used (${reason})`, { cause: error });
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
}
