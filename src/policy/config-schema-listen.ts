import { z } from 'zod';
import { ADDRESS_RANGE_EXPECTED, parseAddressRange } from './address-range.ts';
import { listOf, port, section, sentence, text } from './config-fields.ts';
import { listenTls } from './config-schema-tls.ts';

/** Bytes of `sockaddr_un.sun_path` on Linux, with its zero byte; the file's name takes at most 15. */
const MAX_SOCKET_DIRECTORY_BYTES = 107 - '/.s.PGSQL.65535'.length;

const addressRange = z.string({ error: ADDRESS_RANGE_EXPECTED }).transform((value, context) => {
  const range = parseAddressRange(value);
  if (range === undefined) sentence(context, `expected ${ADDRESS_RANGE_EXPECTED}`);
  return range ?? { kind: 'unix' as const };
});

const SOCKET_DIRECTORY_EXPECTED = `the path of a directory, from / on, at most ${MAX_SOCKET_DIRECTORY_BYTES} bytes`;
const MODE_EXPECTED = 'four octal digits in quotes, such as "0770"';

/** Where clients come in. */
export const listenSection = section({
  host: text('a host name or address').prefault('127.0.0.1').meta({
    description: 'Address on which clients are accepted. `0.0.0.0` or `::` for every interface.',
    examples: ['0.0.0.0'],
  }),
  port: port(0).prefault(6432).meta({ description: 'TCP port for clients. 0 takes a free one and logs it.', examples: [6432] }),
  socket: text(SOCKET_DIRECTORY_EXPECTED)
    .regex(/^\//, { error: SOCKET_DIRECTORY_EXPECTED })
    .refine((value) => Buffer.byteLength(value) <= MAX_SOCKET_DIRECTORY_BYTES, { error: SOCKET_DIRECTORY_EXPECTED })
    .optional()
    .meta({
      description: 'Directory of a Unix socket for clients, `.s.PGSQL.PORT` as PostgreSQL names it, beside the TCP port.',
      'x-default': 'none',
      examples: ['/run/rowgate'],
    }),
  socket_mode: z.string({ error: MODE_EXPECTED }).regex(/^0[0-7]{3}$/, { error: MODE_EXPECTED }).prefault('0777').meta({
    description: 'Permissions of the Unix socket, as PostgreSQL\'s `unix_socket_permissions`: who may write may connect, and still has to log in.',
    examples: ['0770'],
  }),
  proxy_protocol: section({
    from: listOf(addressRange, 'a list of addresses and networks').meta({
      description: 'Who speaks for others: connections from here must begin with a PROXY header (version 1 or 2), and the address in it is the client\'s. From anywhere else a header is refused.',
      examples: [['10.0.5.0/24', 'fd00:5::/64']],
    }),
  })
    .optional()
    .meta({
      description: 'For load balancers that tell whom they connect for, so that the audit record shows the employee\'s address.',
      'x-default': 'connections speak for themselves',
      examples: [{ from: ['10.0.5.0/24'] }],
    }),
  tls: listenTls.optional().meta({
    description: 'Encryption towards clients. The files are read again when they change and on SIGHUP; names without a leading `/` are looked for beside the configuration file.',
    'x-default': 'clients connect in plain text',
    examples: [{ cert: 'server.crt', key: 'server.key', mode: 'require' }],
  }),
}).meta({ description: 'Where Rowgate accepts SQL clients.', examples: [{ host: '0.0.0.0', port: 6432 }] });
