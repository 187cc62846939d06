/** What Rowgate sets on its sockets: TCP keep-alive on both sides, and the server's name in the TLS handshake. */

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { createSecureContext, TLSSocket } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestAuthority } from '../../support/certificates.ts';
import { makeCustomerBase, startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { startRowgate } from '../../support/rowgate.ts';

let postgres: TestPostgres;
let authority: TestAuthority;

beforeAll(async () => {
  authority = new TestAuthority();
  postgres = await startPostgres();
  await makeCustomerBase(postgres, 10);
});
afterAll(async () => {
  await postgres.stop();
  authority.remove();
});

const hasSs = spawnSync('ss', ['-V'], { stdio: 'ignore' }).status === 0;

test.skipIf(!hasSs)('both connections of a session are asked for signs of life after limits.tcp_keepalive', async () => {
  const rowgate = await startRowgate({ postgresPort: postgres.port, extra: 'limits: { tcp_keepalive: 40s }' });
  const client = await rowgate.connect();
  try {
    // Of Rowgate's own ends of the connections: its port towards the client, the server's port on the other side.
    const timers = (filter: string): readonly number[] => [...spawnSync('ss', ['-Htno', 'state', 'established', filter], { encoding: 'utf8' }).stdout.matchAll(/timer:\(keepalive,(\d+)(?:\.\d+)?sec/g)].map(([, seconds]) => Number(seconds));
    await expect.poll(() => timers(`sport = :${rowgate.port}`).length, { timeout: 10_000 }).toBeGreaterThan(0);
    for (const seconds of [...timers(`sport = :${rowgate.port}`), ...timers(`dport = :${postgres.port}`)]) expect(seconds).toBeLessThanOrEqual(60);
    expect(Math.max(...timers(`sport = :${rowgate.port}`))).toBeLessThanOrEqual(40);
    expect(timers(`dport = :${postgres.port}`).some((seconds) => seconds <= 40)).toBe(true);
  } finally {
    await client.end();
    await rowgate.stop();
  }
});

test.each([
  ['localhost', 'postgres', ['localhost']],
  ['localhost', 'direct', ['localhost']],
  // RFC 6066, section 3: no addresses.
  ['127.0.0.1', 'postgres', ['none']],
])('a server at %s is told its name in the handshake (negotiation: %s)', async (host, negotiation, expected) => {
  const names: string[] = [];
  const { cert, key } = authority.issue('localhost', { names: 'DNS:localhost,IP:127.0.0.1' });
  const server: Server = createServer((raw) => {
    raw.on('error', () => undefined);
    const encrypted = (): void => {
      let told = 'none';
      const secureContext = createSecureContext({ cert: readFileSync(cert), key: readFileSync(key) });
      const socket = new TLSSocket(raw, {
        isServer: true, secureContext, ALPNProtocols: ['postgresql'],
        SNICallback: (name, done) => {
          told = name;
          done(null, secureContext);
        },
      });
      socket.on('error', () => undefined);
      // Whoever got so far has verified the certificate.
      socket.once('data', () => {
        names.push(told);
        socket.destroy();
      });
    };
    if (negotiation === 'direct') encrypted();
    else {
      raw.once('data', () => {
        raw.write('S');
        encrypted();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const rowgate = await startRowgate({ postgresPort: postgres.port, extra: `databases: { named: { host: "${host}", port: ${port}, tls: { mode: verify-full, ca: ${authority.ca}, negotiation: ${negotiation} } } }` });
  try {
    await rowgate.connect('agent', { database: 'named' }).catch(() => undefined);
    await expect.poll(() => names, { timeout: 10_000 }).toEqual(expected);
  } finally {
    await rowgate.stop();
    server.close();
  }
});
