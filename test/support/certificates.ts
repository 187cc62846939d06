/** Certificates of a test, made with the openssl command. */

import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export type KeyKind = 'ec' | 'rsa' | 'rsa-pss' | 'ed25519';

export interface CertificateOptions {
  /** `DNS:localhost,IP:127.0.0.1` */
  readonly names?: string;
  readonly key?: KeyKind;
  readonly digest?: 'sha256' | 'sha384' | 'sha512' | 'sha1';
}

const NEW_KEY: Readonly<Record<KeyKind, readonly string[]>> = {
  ec: ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  rsa: ['rsa:2048'],
  'rsa-pss': ['rsa-pss', '-pkeyopt', 'rsa_keygen_bits:2048'],
  ed25519: ['ed25519'],
};

/** An authority of the test's own and what it signs, in a directory that is removed at the end. */
export class TestAuthority {
  readonly directory = mkdtempSync(join(tmpdir(), 'rowgate-ca-'));
  readonly ca: string;
  #count = 0;

  constructor(name = 'Rowgate test CA') {
    chmodSync(this.directory, 0o711);
    this.ca = join(this.directory, 'ca.crt');
    openssl(['req', '-x509', '-newkey', ...NEW_KEY.ec, '-nodes', '-keyout', join(this.directory, 'ca.key'), '-out', this.ca, '-days', '30', '-subj', `/CN=${name}`]);
    chmodSync(this.ca, 0o644);
  }

  issue(commonName: string, options: CertificateOptions = {}): Certificate {
    const base = join(this.directory, `cert-${++this.#count}`);
    const [cert, key, request, extensions] = [`${base}.crt`, `${base}.key`, `${base}.csr`, `${base}.ext`];
    openssl(['req', '-new', '-newkey', ...NEW_KEY[options.key ?? 'ec'], '-nodes', '-keyout', key, '-out', request, '-subj', `/CN=${commonName}`]);
    writeFileSync(extensions, options.names === undefined ? '' : `subjectAltName=${options.names}\n`);
    openssl(['x509', '-req', '-in', request, '-CA', this.ca, '-CAkey', join(this.directory, 'ca.key'), '-CAcreateserial', '-out', cert, '-days', '30', `-${options.digest ?? 'sha256'}`, '-extfile', extensions]);
    chmodSync(cert, 0o644);
    chmodSync(key, 0o600);
    return { cert, key };
  }

  /** A certificate that signs itself. */
  selfSigned(commonName: string, options: CertificateOptions = {}): Certificate {
    const base = join(this.directory, `cert-${++this.#count}`);
    const names = options.names === undefined ? [] : ['-addext', `subjectAltName=${options.names}`];
    openssl(['req', '-x509', '-newkey', ...NEW_KEY[options.key ?? 'ec'], '-nodes', '-keyout', `${base}.key`, '-out', `${base}.crt`, '-days', '30', '-subj', `/CN=${commonName}`, ...(options.key === 'ed25519' ? [] : [`-${options.digest ?? 'sha256'}`]), ...names]);
    chmodSync(`${base}.crt`, 0o644);
    chmodSync(`${base}.key`, 0o600);
    return { cert: `${base}.crt`, key: `${base}.key` };
  }

  /** The same certificate and key in files of their own: two programs as two users may each own theirs. */
  copyOf(certificate: Certificate): Certificate {
    const base = join(this.directory, `cert-${++this.#count}`);
    copyFileSync(certificate.cert, `${base}.crt`);
    copyFileSync(certificate.key, `${base}.key`);
    chmodSync(`${base}.key`, 0o600);
    return { cert: `${base}.crt`, key: `${base}.key` };
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** PostgreSQL reads its key only if it owns it and nobody else can read it. */
export function ownedByServer({ key }: Certificate): void {
  if (process.getuid?.() !== 0) return;
  const id = (flag: string): number => Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }));
  chownSync(key, id('-u'), id('-g'));
}

function openssl(args: readonly string[]): void {
  const { status, stderr, error } = spawnSync('openssl', [...args], { encoding: 'utf8', stdio: ['ignore', 'ignore', 'pipe'] });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`openssl ${args[0] ?? ''} failed: ${stderr}`);
}
