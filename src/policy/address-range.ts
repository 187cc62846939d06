import { isIpv4, isIpv6 } from '../protocol/ip-text.ts';

/** A network such as `10.0.0.0/8`, one address, or `unix` for everybody who comes over the Unix socket. */
export type AddressRange =
  | { readonly kind: 'unix' }
  | { readonly kind: 'ipv4' | 'ipv6'; readonly address: string; readonly prefixBits: number };

export const ADDRESS_RANGE_EXPECTED = 'an address, a network such as 10.0.0.0/8 or fd00::/8, or unix';

export function parseAddressRange(text: string): AddressRange | undefined {
  if (text === 'unix') return { kind: 'unix' };
  const [address = '', bits, ...more] = text.split('/');
  if (more.length > 0 || (bits !== undefined && !/^(0|[1-9]\d{0,2})$/.test(bits))) return undefined;
  const kind = isIpv4(address) ? 'ipv4' : isIpv6(address) ? 'ipv6' : undefined;
  if (kind === undefined) return undefined;
  const allBits = kind === 'ipv4' ? 32 : 128;
  const prefixBits = bits === undefined ? allBits : Number(bits);
  return prefixBits <= allBits ? { kind, address, prefixBits } : undefined;
}
