/** Who is on the other end of a client's connection. */

import { BlockList, type Socket } from 'node:net';
import type { AddressRange } from '../policy/address-range.ts';
import { isIpv6, withoutMapping } from '../protocol/ip-text.ts';
import type { ProxySource } from '../protocol/proxy-header.ts';

export interface Peer {
  /** Without the port. */
  readonly address: string;
  /** As audit records show it. */
  readonly text: string;
}

/** What PostgreSQL's log shows for a client on a Unix socket. */
const LOCAL: Peer = { address: '[local]', text: '[local]' };

export function peerOf(socket: Socket): Peer {
  if (socket.remoteAddress === undefined) return LOCAL;
  return ipPeer(withoutMapping(socket.remoteAddress), socket.remotePort ?? 0);
}

/** The peer that a load balancer names. */
export function peerBehind(socket: Socket, source: ProxySource): Peer {
  switch (source.kind) {
    case 'ip':
      return ipPeer(withoutMapping(source.address), source.port);
    case 'unix':
      return LOCAL;
    case 'sender':
      return peerOf(socket);
  }
}

function ipPeer(address: string, port: number): Peer {
  return { address, text: isIpv6(address) ? `[${address}]:${port}` : `${address}:${port}` };
}

/** Addresses that speak for others. */
export class AddressRanges {
  readonly #list = new BlockList();
  readonly #unix: boolean;

  constructor(ranges: readonly AddressRange[]) {
    this.#unix = ranges.some(({ kind }) => kind === 'unix');
    for (const range of ranges) if (range.kind !== 'unix') this.#list.addSubnet(range.address, range.prefixBits, range.kind);
  }

  has(socket: Socket): boolean {
    if (socket.remoteAddress === undefined) return this.#unix;
    const address = withoutMapping(socket.remoteAddress);
    return this.#list.check(address, isIpv6(address) ? 'ipv6' : 'ipv4');
  }
}
