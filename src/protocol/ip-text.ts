/** IP addresses as text. */

const IPV4_PART = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const IPV4 = new RegExp(`^${IPV4_PART}(?:\\.${IPV4_PART}){3}$`);

export function isIpv4(text: string): boolean {
  return IPV4.test(text);
}

/** Without a zone, which means nothing to anybody else. */
export function isIpv6(text: string): boolean {
  return canonicalIpv6(text) !== undefined;
}

/** The short form of RFC 5952; undefined if it is no IPv6 address. */
export function canonicalIpv6(text: string): string | undefined {
  if (!/^[0-9A-Fa-f:.]{2,45}$/.test(text) || !text.includes(':')) return undefined;
  try {
    return new URL(`http://[${text}]/`).hostname.slice(1, -1);
  } catch {
    return undefined;
  }
}

/** From 4 bytes in network order. */
export function ipv4Of(bytes: Buffer): string {
  return bytes.join('.');
}

/** From 16 bytes in network order. */
export function ipv6Of(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(i * 2).toString(16)).join(':');
  return canonicalIpv6(groups) ?? groups;
}

/** `::ffff:10.0.0.1`, as a socket that takes both families names an IPv4 peer, is `10.0.0.1`. */
export function withoutMapping(address: string): string {
  const found = /^::ffff:([\d.]+)$/i.exec(address)?.[1];
  return found !== undefined && isIpv4(found) ? found : address;
}
