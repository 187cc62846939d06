/** TLS towards the server: what is checked of its certificate, and what Rowgate shows of its own. */

import { isIP } from 'node:net';
import { checkServerIdentity, createSecureContext, type ConnectionOptions, type SecureContext } from 'node:tls';
import type { UpstreamTlsConfig } from '../policy/config.ts';
import { readUpstreamTls, type TlsMaterial } from './tls-files.ts';

export class UpstreamTls {
  readonly #config: UpstreamTlsConfig;
  #material: TlsMaterial;
  #context: SecureContext;

  /** Throws `TlsFileError` if a file cannot be used. */
  constructor(config: UpstreamTlsConfig) {
    this.#config = config;
    this.#material = readUpstreamTls(config);
    this.#context = contextOf(this.#material);
  }

  get mode(): UpstreamTlsConfig['mode'] {
    return this.#config.mode;
  }

  get direct(): boolean {
    return this.#config.negotiation === 'direct';
  }

  /** True if new files are in use from now on; throws `TlsFileError` and keeps the old ones if they cannot be used. */
  reload(): boolean {
    const material = readUpstreamTls(this.#config);
    if (material.sha256 === this.#material.sha256) return false;
    this.#context = contextOf(material);
    this.#material = material;
    return true;
  }

  /** For `tls.connect` on a socket to `host`. */
  connectOptions(host: string): ConnectionOptions {
    const { mode } = this.#config;
    return {
      secureContext: this.#context,
      minVersion: 'TLSv1.2',
      // A name that is no address is told to the server (SNI); RFC 6066, section 3, allows no addresses there.
      ...(isIP(host) === 0 ? { servername: host } : {}),
      rejectUnauthorized: mode === 'verify-ca' || mode === 'verify-full',
      checkServerIdentity: (_name, certificate) => (mode === 'verify-full' ? checkServerIdentity(host, certificate) : undefined),
    };
  }
}

function contextOf({ cert, key, ca }: TlsMaterial): SecureContext {
  // Without `ca` the authorities that come with Node.js are trusted.
  return createSecureContext({ cert, key, ...(ca === undefined ? {} : { ca }), minVersion: 'TLSv1.2' });
}
