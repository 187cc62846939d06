/** Names in a client's certificate, and the login that rules give them. Pure. */

import type { PeerCertificate } from 'node:tls';
import type { CertificateRule } from '../policy/config.ts';

export type CertificateNames = Readonly<Record<CertificateRule['field'], readonly string[]>>;

export function namesOf(certificate: Pick<PeerCertificate, 'subject' | 'subjectaltname'>): CertificateNames {
  const names: Record<CertificateRule['field'], string[]> = { cn: [], dns: [], email: [], uri: [] };
  // The types know one common name; a subject with several gives a list.
  const commonNames: unknown = certificate.subject?.CN;
  // Several common names: no telling which of them is meant.
  if (typeof commonNames === 'string') names.cn.push(commonNames);
  for (const [kind, value] of alternativeNames(certificate.subjectaltname ?? '')) {
    if (kind === 'DNS') names.dns.push(value);
    else if (kind === 'email') names.email.push(value);
    else if (kind === 'URI') names.uri.push(value);
  }
  for (const list of Object.values(names)) list.splice(0, list.length, ...list.filter(isPlain));
  return names;
}

/** `DNS:a, URI:"x, DNS:b"`: Node.js writes a value that could be taken for two as a JSON string (CVE-2021-44532). */
function alternativeNames(text: string): readonly (readonly [kind: string, value: string])[] {
  const found: (readonly [string, string])[] = [];
  const part = /([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/y;
  while (part.lastIndex < text.length) {
    const match = part.exec(text);
    // What is not understood proves nothing.
    if (match === null) return [];
    const [, kind = '', value = ''] = match;
    found.push([kind, value.startsWith('"') ? String(JSON.parse(value)) : value]);
  }
  return found;
}

/** A control character has no place in a name, and is how one name is made to look like another. */
function isPlain(name: string): boolean {
  // eslint-disable-next-line no-control-regex
  return name !== '' && !/[\u0000-\u001f\u007f]/.test(name);
}

/** True if one rule gives one of the names this login. */
export function mayUse(login: string, names: CertificateNames, rules: readonly CertificateRule[]): boolean {
  return rules.some((rule) =>
    names[rule.field].some((name) => {
      const match = rule.pattern.exec(name);
      return match !== null && rule.login.replaceAll(/\$([1-9])/g, (_whole, group: string) => match[Number(group)] ?? '') === login;
    }),
  );
}
