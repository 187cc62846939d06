import { duration, section, size, wholeNumber } from './config-fields.ts';

/** Bounds on what clients can make Rowgate hold, and on how long. */
export const limitsSection = section({
  max_statement_bytes: size({ min: 1024, max: 1024 ** 3 }).prefault('16MiB').meta({
    description: 'Longest statement that is accepted. A longer one is refused before it is read to its end.',
    'x-unit': 'bytes',
    examples: ['16MiB'],
  }),
  auth_timeout: duration({ min: '1s', max: '10m' }).prefault('60s').meta({
    description: 'Time that a client has from connecting to being logged in, as PostgreSQL\'s `authentication_timeout`.',
    examples: ['60s'],
  }),
  max_login_delay: duration({ min: '1s', max: '1m' }).prefault('8s').meta({
    description: 'Longest wait before an attempt to log in, after wrong passwords for the same login from the same address. It begins at 250 ms and doubles.',
    examples: ['8s'],
  }),
  max_sessions: wholeNumber(1, 100_000).prefault(10_000).meta({
    description: 'Most sessions at a time. One more is turned away with SQLSTATE 53300, as by PostgreSQL\'s `max_connections`.',
    'x-unit': 'sessions',
    examples: [1000],
  }),
  max_sessions_per_principal: wholeNumber(1, 100_000).prefault(5000).meta({
    description: 'Most sessions of one login at a time. One more is turned away with SQLSTATE 53300, as by `CONNECTION LIMIT` of a PostgreSQL role.',
    'x-unit': 'sessions',
    examples: [50],
  }),
  max_unauthenticated: wholeNumber(1, 100_000).prefault(1000).meta({
    description: 'Most connections at a time that have not logged in. They take no places from sessions. One more ends the oldest of the address that has the most of them, with SQLSTATE 53300.',
    'x-unit': 'connections',
    examples: [200],
  }),
  startup_packet_bytes: size({ min: 512, max: 10_000 }).prefault(10_000).meta({
    description: 'Longest startup packet. The server takes no more than 10000 (`MAX_STARTUP_PACKET_LENGTH`).',
    'x-unit': 'bytes',
    examples: [10_000],
  }),
  idle_timeout: duration({ min: '1s', max: '30d' }).prefault('24h').meta({
    description: 'A session outside of a transaction, on whose client connection nothing has moved for this long, ends with SQLSTATE 57P05, as by PostgreSQL\'s `idle_session_timeout`.',
    examples: ['8h'],
  }),
  tcp_keepalive: duration({ min: '1s', max: '2h' }).prefault('60s').meta({
    description: 'Silence on a TCP connection, to clients and to the server, after which the operating system asks whether the other side is there: once a second, ten times, then the connection is lost.',
    examples: ['60s'],
  }),
  drain: duration({ min: '1s', max: '1h' }).prefault('30s').meta({
    description: 'Time that statements and transactions under way have to end after SIGTERM. Then their sessions end with SQLSTATE 57P01; a second signal ends them at once.',
    examples: ['5m'],
  }),
}).meta({
  description: 'Bounds that protect Rowgate itself.',
  examples: [{ auth_timeout: '60s', max_sessions: 1000, max_sessions_per_principal: 50, max_unauthenticated: 200, idle_timeout: '8h', drain: '5m' }],
});
