/** tls-server-end-point: the hash of the server's certificate, by the hash of its signature (RFC 5929, section 4.1). */

import { createHash } from 'node:crypto';

/** Signature algorithms by the DER of their object identifiers, as hex, and the hash that they use. MD5 and SHA-1 are replaced by SHA-256. */
const HASHES: ReadonlyMap<string, string> = new Map([
  ['2a864886f70d010104', 'sha256'], // md5WithRSAEncryption
  ['2a864886f70d010105', 'sha256'], // sha1WithRSAEncryption
  ['2a864886f70d01010b', 'sha256'],
  ['2a864886f70d01010c', 'sha384'],
  ['2a864886f70d01010d', 'sha512'],
  ['2a864886f70d01010e', 'sha224'],
  ['2a8648ce3d0401', 'sha256'], // ecdsa-with-SHA1
  ['2a8648ce3d040301', 'sha224'],
  ['2a8648ce3d040302', 'sha256'],
  ['2a8648ce3d040303', 'sha384'],
  ['2a8648ce3d040304', 'sha512'],
  ['2a8648ce380403', 'sha256'], // dsa-with-sha1
  ['608648016503040301', 'sha224'], // dsa-with-SHA224
  ['608648016503040302', 'sha256'],
]);
const RSA_PSS = '2a864886f70d01010a';
/** Hash algorithms as parameters of RSASSA-PSS. */
const PSS_HASHES: ReadonlyMap<string, string> = new Map([
  ['2b0e03021a', 'sha256'], // SHA-1
  ['608648016503040201', 'sha256'],
  ['608648016503040202', 'sha384'],
  ['608648016503040203', 'sha512'],
  ['608648016503040204', 'sha224'],
]);

const TAG = { sequence: 0x30, oid: 0x06, context0: 0xa0 } as const;

/**
 * Undefined if the signature has no hash of its own (Ed25519): RFC 5929 leaves that open, and neither PostgreSQL nor libpq binds to such a
 * certificate.
 */
export function tlsServerEndPoint(certificate: Buffer): Buffer | undefined {
  const hash = signatureHash(certificate);
  return hash === undefined ? undefined : createHash(hash).update(certificate).digest();
}

/** Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm SEQUENCE { algorithm OID, parameters }, signature } (RFC 5280, section 4.1). */
function signatureHash(certificate: Buffer): string | undefined {
  const outer = element(certificate, 0);
  if (outer?.tag !== TAG.sequence) return undefined;
  const body = element(certificate, outer.start);
  const algorithm = body === undefined ? undefined : element(certificate, body.end);
  const oid = algorithm?.tag === TAG.sequence ? element(certificate, algorithm.start) : undefined;
  if (oid?.tag !== TAG.oid) return undefined;
  const name = certificate.toString('hex', oid.start, oid.end);
  if (name !== RSA_PSS) return HASHES.get(name);
  // RSASSA-PSS-params ::= SEQUENCE { hashAlgorithm [0] DEFAULT sha1, ... } (RFC 4055, section 3.1).
  const parameters = element(certificate, oid.end);
  const first = parameters?.tag === TAG.sequence && parameters.start < parameters.end ? element(certificate, parameters.start) : undefined;
  if (first?.tag !== TAG.context0) return 'sha256';
  const hashAlgorithm = element(certificate, first.start);
  const hashOid = hashAlgorithm?.tag === TAG.sequence ? element(certificate, hashAlgorithm.start) : undefined;
  return hashOid?.tag === TAG.oid ? PSS_HASHES.get(certificate.toString('hex', hashOid.start, hashOid.end)) : undefined;
}

/** One DER element: where its content begins and ends. */
function element(der: Buffer, at: number): { readonly tag: number; readonly start: number; readonly end: number } | undefined {
  const tag = der[at];
  const first = der[at + 1];
  if (tag === undefined || first === undefined) return undefined;
  let length = first;
  let start = at + 2;
  if (first >= 0x80) {
    const count = first & 0x7f;
    if (count === 0 || count > 4 || start + count > der.length) return undefined;
    length = der.readUIntBE(start, count);
    start += count;
  }
  return start + length > der.length ? undefined : { tag, start, end: start + length };
}
