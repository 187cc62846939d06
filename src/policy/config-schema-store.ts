import { z } from 'zod';
import { SECRET_DOCS, choice, duration, flag, listOf, secret, section, text, wholeNumber } from './config-fields.ts';

/** `store`: where quotas are counted. */

const onOutage = z
  .union([z.enum(['block']), z.strictObject({ allowance: wholeNumber(1, 1_000_000) })], { error: 'block, or { allowance: UNITS }' })
  .meta({ 'x-type': '`block` or `{ allowance: UNITS }`' });

/** IPv6 addresses stand in brackets. */
const NODE = /^(?:\[[0-9A-Fa-f:.]+\]|[^\s:[\]]+):([0-9]{1,5})$/;
const node = text('a node such as redis-1.internal:6379').regex(NODE, { error: 'a node such as redis-1.internal:6379' });

const sentinel = section({
  master: text('the name of the master').meta({ description: 'Name under which the Sentinels watch the primary.', examples: ['rowgate'] }),
  nodes: listOf(node, 'a list of HOST:PORT').min(1, { error: 'at least one HOST:PORT' }).meta({ description: 'Sentinels, as `HOST:PORT`. One that answers is enough.', examples: [['sentinel-1:26379', 'sentinel-2:26379', 'sentinel-3:26379']] }),
  username: text('a user name').optional().meta({ description: 'ACL user on the Sentinels.', 'x-default': 'none', examples: ['rowgate'] }),
  password: secret('a password').optional().meta({ ...SECRET_DOCS, description: 'Password on the Sentinels. The servers\' own is `store.password`.', 'x-default': 'none', examples: ['${SENTINEL_PASSWORD}'] }),
});

const storeTls = section({
  ca: text('a file name').optional().meta({ description: 'File with the certificate of the authority that signed the server\'s, in PEM.', 'x-default': 'the authorities that Node.js trusts', examples: ['/etc/rowgate/redis-ca.crt'] }),
  cert: text('a file name').optional().meta({ description: 'File with the certificate that Rowgate shows to the server, in PEM.', 'x-default': 'none', examples: ['/etc/rowgate/redis.crt'] }),
  key: text('a file name').optional().meta({ description: 'File with its key, in PEM.', 'x-default': 'none', examples: ['/etc/rowgate/redis.key'] }),
  servername: text('a host name').optional().meta({ description: 'Name that the server\'s certificate must be for, if it is not the host\'s.', 'x-default': 'the host', examples: ['redis.internal'] }),
});

export const store = section({
  redis: secret('a Redis URL such as redis://127.0.0.1:6379/0', /^rediss?:\/\/\S+$/).optional().meta({
    ...SECRET_DOCS,
    description: 'Redis that holds the counters, shared by every Rowgate process; `rediss://` is TLS. Give one of this, `sentinel`, `cluster` and `memory`.',
    'x-default': 'none',
    examples: ['redis://127.0.0.1:6379/0', 'rediss://rowgate:${REDIS_PASSWORD}@redis.internal:6380/0'],
  }),
  sentinel: sentinel.optional().meta({
    description: 'A primary and its replicas under Redis Sentinel.',
    'x-default': 'none',
    examples: [{ master: 'rowgate', nodes: ['sentinel-1:26379', 'sentinel-2:26379', 'sentinel-3:26379'] }],
  }),
  cluster: listOf(node, 'a list of HOST:PORT').min(1, { error: 'at least one HOST:PORT' }).optional().meta({
    description: 'Nodes of a Redis Cluster, as `HOST:PORT`. The others are found through them. All counters of a class live in one slot.',
    'x-default': 'none',
    examples: [['redis-1:6379', 'redis-2:6379', 'redis-3:6379']],
  }),
  memory: flag().optional().meta({
    description: 'Keep the counters in this process. For one installation on one machine only, and a restart forgets them.',
    'x-default': '`false`',
    examples: [true],
  }),
  username: text('a user name').optional().meta({ description: 'ACL user on the servers, with `sentinel` and `cluster`. In a URL it stands before the password.', 'x-default': 'Redis\'s default user', examples: ['rowgate'] }),
  password: secret('a password').optional().meta({ ...SECRET_DOCS, description: 'Its password.', 'x-default': 'none', examples: ['${REDIS_PASSWORD}'] }),
  tls: storeTls.optional().meta({ description: 'TLS towards the servers. With a URL, for `rediss://` only.', 'x-default': 'no TLS with `sentinel` and `cluster`', examples: [{ ca: '/etc/rowgate/redis-ca.crt' }] }),
  prefix: z
    .string({ error: 'a prefix of letters, digits and : . _ -' })
    .regex(/^[A-Za-z0-9:._-]{1,64}$/, { error: 'a prefix of letters, digits and : . _ -' })
    .prefault('rowgate:')
    .meta({ description: 'What every key in Redis begins with. Change it if two installations share one Redis.', examples: ['rowgate:'] }),
  timeout: duration({ min: '100ms', max: '1m' }).prefault('900ms').meta({
    description: 'How long an answer of the store is waited for. After it the store counts as unavailable, and `on_outage` says what happens.',
    examples: ['900ms'],
  }),
  on_outage: onOutage.prefault('block').meta({
    description:
      'What happens to protected rows while the store does not answer. `block`: they stop, other work goes on. `{ allowance: N }`: a login may still take N units of each class from each process; what it took is counted in Redis before anything else is granted.',
    examples: ['block', { allowance: 20 }],
  }),
  journal: text('a file name').optional().meta({
    description: 'File in which each process keeps what it was granted in the windows that still count. From it a Redis that lost its data is refilled even if Rowgate was restarted meanwhile. Of several workers each adds its number.',
    'x-default': 'in memory only',
    examples: ['/var/lib/rowgate/grants.journal'],
  }),
  journal_sync: choice(['always', '1s', 'never']).prefault('1s').meta({
    description: 'When the journal is forced to the disk: before a grant is used, once a second, or when the system likes. It matters only where the machine dies and Redis loses its data as well.',
    examples: ['1s'],
  }),
}).meta({ description: 'Where quotas are counted.', examples: [{ redis: 'redis://127.0.0.1:6379/0', timeout: '900ms', on_outage: { allowance: 20 }, journal: '/var/lib/rowgate/grants.journal' }] });
