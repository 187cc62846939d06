/** PROXY headers as load balancers write them. */

const DESTINATION = { TCP4: '192.0.2.1', TCP6: '2001:db8::1' } as const;

export function writeProxyV1(family: 'TCP4' | 'TCP6', address: string, port: number): Buffer {
  return Buffer.from(`PROXY ${family} ${address} ${DESTINATION[family]} ${port} 6432\r\n`, 'latin1');
}

export interface ProxyV2 {
  /** Version and command; 0x21 (version 2, PROXY) if left out. */
  readonly command?: number;
  readonly family: number;
  readonly address: Buffer;
  /** Left out where the family has none. */
  readonly port?: number;
  readonly tlvs?: Buffer;
}

export function writeProxyV2({ command = 0x21, family, address, port, tlvs = Buffer.alloc(0) }: ProxyV2): Buffer {
  const ports = Buffer.alloc(port === undefined ? 0 : 4);
  if (port !== undefined) {
    ports.writeUInt16BE(port, 0);
    ports.writeUInt16BE(6432, 2);
  }
  const rest = Buffer.concat([address, Buffer.alloc(address.length, 1), ports, tlvs]);
  const head = Buffer.from([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a, command, family, 0, 0]);
  head.writeUInt16BE(rest.length, 14);
  return Buffer.concat([head, rest]);
}
