import { z } from 'zod';
import { SECRET_DOCS, choice, duration, secret, section, size, text } from './config-fields.ts';
import { auditSinks } from './config-schema-outlets.ts';

/** What is recorded, how it is kept, and where copies of it go. */

/** Shorter keys can be guessed from a few records. */
const MIN_KEY_BYTES = 32;

const rotate = section({
  size: size({ min: 64 * 1024 }).optional().meta({
    description: 'A file that would grow beyond this is closed before, renamed, and a new one begun. The chain goes on over all of them.',
    'x-unit': 'bytes',
    'x-default': 'no bound',
    examples: ['256MiB'],
  }),
  every: duration({ min: '1m', max: '365d' }).optional().meta({
    description: 'A file is closed when a multiple of this time passes, counted in UTC: `24h` at midnight.',
    'x-default': 'no bound',
    examples: ['24h'],
  }),
  keep: duration({ min: '1h', max: '36500d' }).optional().meta({
    description: 'How long a closed file is kept. It is removed after the log has told so.',
    'x-default': 'for ever',
    examples: ['400d'],
  }),
});

export const auditSection = section({
  file: text('a file name').prefault('audit/rowgate.ndjson').meta({
    description: 'File that the audit records are appended to, one JSON object a line, each chained to the one before it. One process at a time may write it.',
    examples: ['/var/log/rowgate/audit.ndjson'],
  }),
  writer: z
    .string({ error: 'a name of letters, digits, _ and -' })
    .regex(/^[A-Za-z0-9_-]{1,32}$/, { error: 'a name of letters, digits, _ and -' })
    .optional()
    .meta({
      description: 'Name of this process where several write to one directory: it goes into the file\'s name (`rowgate.NAME.ndjson`) and into each record.',
      'x-default': 'none',
      examples: ['proxy1'],
    }),
  key: secret('a key of at least 32 characters', new RegExp(`^[\\s\\S]{${MIN_KEY_BYTES},}$`)).optional().meta({
    ...SECRET_DOCS,
    description: 'Key of the HMAC chain, at least 32 characters (`openssl rand -hex 32`). Without it the chain is plain SHA-256: it shows accidents, but whoever can write the file can forge it.',
    'x-default': 'a chain without a key',
    examples: ['${file:/run/secrets/rowgate-audit-key}'],
  }),
  sync: choice(['record', 'interval']).prefault('interval').meta({
    description: 'When records are forced to the disk. `record`: before the first protected row of their statement leaves. `interval`: every `sync_interval`; a loss of power may cost so much of the record.',
    examples: ['record'],
  }),
  sync_interval: duration({ min: '1s', max: '1h' }).prefault('1s').meta({
    description: 'How often the file is forced to the disk with `sync: interval`.',
    examples: ['1s'],
  }),
  rotate: rotate.prefault({}).meta({
    description: 'When Rowgate closes a file and begins a new one. Without it, other programs may move the file as they like (see the operations page).',
    'x-default': 'never',
    examples: [{ size: '256MiB', every: '24h', keep: '400d' }],
  }),
  checkpoint: duration({ min: '1s', max: '24h' }).prefault('1m').meta({
    description: 'How often a checkpoint is written, and sent to the operational log and the sinks, if there are new records. What follows the last checkpoint known elsewhere can be cut off unseen.',
    examples: ['1m'],
  }),
  sql: choice(['normalized', 'full', 'none']).prefault('normalized').meta({
    description: 'How much of a statement is written: `normalized` removes its literals, `full` keeps them (and with them customers\' data), `none` writes no text.',
    examples: ['normalized'],
  }),
  subjects: choice(['count', 'keys', 'none']).prefault('count').meta({
    description: 'What a record says of the people in a statement\'s rows, where the role has a quota on people. `count`: how many. `keys`: also a keyed hash of each, up to 1000, so that `simulate` and `suggest` know who came again. `none`: nothing.',
    examples: ['keys'],
  }),
  sinks: auditSinks,
  on_failure: choice(['block', 'continue']).prefault('block').meta({
    description: 'What happens to protected rows while no record can be written. `block`: they stop. `continue`: they go out unrecorded.',
    examples: ['block'],
  }),
}).meta({
  description: 'The record of who took what.',
  examples: [{ file: '/var/log/rowgate/audit.ndjson', key: '${file:/run/secrets/rowgate-audit-key}', sync: 'record', rotate: { size: '256MiB', every: '24h' }, on_failure: 'block' }],
});
