import { z } from 'zod';
import { choice, duration, flag, listOf, mapOf, quotaWindow, section, size, text, wholeNumber } from './config-fields.ts';
import { DEFAULT_DENY, DENY_CATEGORIES } from './deny-categories.ts';

/** Who may take how much of what: classes, roles, and what holds for everybody else. */

const NAME_DOCS = { propertyNames: { pattern: '^[A-Za-z_][A-Za-z0-9_-]{0,62}$' } } as const;
const QUALIFIED_DOCS = { propertyNames: { pattern: '^[^.]+\\.[^.]+$' } } as const;

const relation = section({
  subject: z
    .union([text('a column name'), listOf(text('a column name'), 'a list of column names').min(1)], { error: 'a column name or a list of column names' })
    .optional()
    .meta({
      description: 'Column, or list of columns, that says which person a row is about. Needed to count `subjects`.',
      'x-default': 'none: every row counts as a person of its own',
      examples: ['customer_id', ['tenant_id', 'customer_id']],
    }),
});

const classFunction = section({
  reads: flag().prefault(true).meta({
    description: 'true: calling the function reaches the class. false: you have reviewed it and it reads nothing of the class.',
    examples: [true],
  }),
});

const protectedClass = section({
  unit_bytes: size().prefault('1KiB').meta({
    description: 'Bytes of a row that cost one unit. A row of twice the size costs two.',
    'x-unit': 'bytes',
    examples: ['1KiB'],
  }),
  packed_unit_bytes: size().prefault(4).meta({
    description: 'The same where one value may hold any number of rows (aggregates, arrays, recursion). Not larger than `unit_bytes`. The default is as long as the shortest value that tells a person from another; what is proven to be packed of one person costs a unit for 32 bytes.',
    'x-unit': 'bytes',
    examples: [4],
  }),
  relations: mapOf(relation, 'a mapping of relations, each as schema.name')
    .meta({
      ...QUALIFIED_DOCS,
      description:
        'Base tables of the class, as `schema.name`; `*` and `?` are globs, case counts. Views, partitions, inheritance children, foreign tables and copies follow from the catalog.',
      examples: [{ 'crm.customers': { subject: 'id' }, 'crm.contact_*': {} }],
    }),
  functions: mapOf(classFunction, 'a mapping of functions, each as schema.name')
    .prefault({})
    .meta({
      ...QUALIFIED_DOCS,
      description: 'Functions whose body Rowgate cannot read, and what calling them means for this class.',
      examples: [{ 'crm.find_customer': { reads: true } }],
    }),
});

const member = z.union([text('a login name'), section({ pg_role: text('a role name') })], {
  error: 'a login name, a glob such as "agent_*" or { pg_role: NAME }',
});

const quota = section({
  class: text('the name of a class').meta({ description: 'Class that the quota counts.', examples: ['customers'] }),
  window: quotaWindow().meta({
    description: 'Sliding length of time over which units add up, from 1m to 30d; or `statement` for each statement by itself.',
    examples: ['1h', '24h', '30d', 'statement'],
  }),
  rows: wholeNumber(1).optional().meta({ description: 'Most rows (units) in the window.', 'x-unit': 'rows', 'x-default': 'not counted', examples: [200] }),
  subjects: wholeNumber(1).optional().meta({ description: 'Most different people in the window.', 'x-unit': 'people', 'x-default': 'not counted', examples: [2000] }),
  bytes: size().optional().meta({ description: 'Most bytes of row data in the window.', 'x-unit': 'bytes', 'x-default': 'not counted', examples: ['10MiB'] }),
  scope: choice(['principal', 'role']).prefault('principal').meta({
    description: '`principal`: each login has the limit to itself. `role`: all members of the role share it.',
    examples: ['principal'],
  }),
  action: choice(['flag', 'block', 'terminate']).prefault('block').meta({
    description: 'What happens at the limit. `flag`: deliver, and raise an event. `block`: an SQL error. `terminate`: an error that ends the session.',
    examples: ['block'],
  }),
}).meta({ anyOf: [{ required: ['rows'] }, { required: ['subjects'] }, { required: ['bytes'] }] });

/** Blind questions; what is counted and held against what is in quota/lookup-habits.ts. */
const lookups = section({
  window: duration({ min: '1m', max: '24h' }).prefault('1h').meta({ description: 'Sliding length of time over which look-ups are counted.', examples: ['1h'] }),
  above: wholeNumber(0).prefault(10).meta({ description: 'How many times the habit of the role is far above it. `0`: nothing is, and no event is raised.', 'x-unit': 'times', examples: [10] }),
  habit: wholeNumber(1).prefault(20).meta({
    description: 'The least habit, also while fewer than 8 windows of members are known: a login is told of above `above` times this at the earliest.',
    'x-unit': 'statements',
    examples: [20],
  }),
});

const role = section({
  members: listOf(member, 'a list of members').meta({
    description: 'Logins of the role: a name, a glob (`*`, `?`; case counts), or `{ pg_role: NAME }` for every member of a PostgreSQL role.',
    examples: [['agent', 'agent_*', { pg_role: 'support' }]],
  }),
  quotas: listOf(quota, 'a list of quotas').meta({
    description: 'Limits of the role; `rows`, `subjects` and `bytes` in one entry are three limits. `[]` means no limit: everything is still counted and audited.',
    examples: [[{ class: 'customers', window: '1h', rows: 200, action: 'block' }]],
  }),
  deny: listOf(choice(DENY_CATEGORIES), 'a list of deny categories')
    .optional()
    .meta({
      description: 'Kinds of statement that are refused outright; see [deny categories](#deny-categories).',
      'x-default': `\`[${DEFAULT_DENY.join(', ')}]\` for a role with quotas, nothing for a role without`,
      examples: [['copy_out', ...DEFAULT_DENY]],
    }),
  contact: text('a text that says whom to ask').optional().meta({
    description: 'Whom to ask; named in every refusal that a member reads.',
    'x-default': 'none',
    examples: ['data-protection@example.com'],
  }),
  lookups: lookups.prefault({}).meta({
    description:
      'For roles with quotas. Statements that cost one unit of a class are counted for each login. One with far more of them in `window` than the role\'s habit (the median of what members do in such a window, as this process has seen it) raises an event: many cheap questions, each about one bit, tell what rows would.',
    examples: [{ window: '1h', above: 10, habit: 20 }],
  }),
  replication: flag().prefault(false).meta({ description: 'Whether members may open replication connections, which carry whole tables.', examples: [true] }),
  errors: choice(['redact', 'full']).optional().meta({
    description: 'Server errors and notices while a class is in reach: `redact` keeps the SQLSTATE and the fixed text and removes values, `full` forwards them as they are.',
    'x-default': '`redact` for a role with quotas, `full` for a role without',
    examples: ['redact'],
  }),
});

export const accessShape = {
  classes: mapOf(protectedClass, 'a mapping of classes').meta({
    ...NAME_DOCS,
    description: 'Named sets of protected relations.',
    examples: [{
      customers: {
        unit_bytes: '1KiB',
        packed_unit_bytes: 4,
        relations: { 'crm.customers': { subject: 'id' }, 'crm.invoices': { subject: 'customer_id' }, 'crm.contact_*': {} },
        functions: { 'crm.find_customer': { reads: true } },
      },
    }],
  }),
  roles: mapOf(role, 'a mapping of roles').meta({
    ...NAME_DOCS,
    description: 'Groups of logins with the same limits. A login in several roles has every quota and every denial of each of them.',
    examples: [{
      support: {
        members: ['agent', 'agent_*', { pg_role: 'support' }],
        quotas: [
          { class: 'customers', window: '1h', rows: 200, action: 'block' },
          { class: 'customers', window: '24h', rows: 20_000, scope: 'role', action: 'flag' },
          { class: 'customers', window: 'statement', rows: 50 },
        ],
        contact: 'data-protection@example.com',
      },
      dba: { members: ['postgres'], quotas: [] },
    }],
  }),
  unlisted: choice(['block', 'flag', 'allow']).prefault('block').meta({
    description: 'What holds on protected classes for logins in no role. `block`: refused. `flag`: delivered, and an event raised. `allow`: delivered.',
    examples: ['block'],
  }),
  mode: choice(['enforce', 'monitor']).prefault('enforce').meta({
    description: '`monitor` turns every block and every denial into a flag: nothing is refused, and you see what would have been.',
    examples: ['monitor'],
  }),
  trusted_functions: listOf(text('a function as schema.name'), 'a list of functions')
    .prefault([])
    .meta({
      description: 'Functions of yours, as `schema.name` or a glob, that you have reviewed and that read nothing protected and run no text as SQL. Whoever may create in the schema can add a function of the same name with other arguments: nobody with quotas should.',
      examples: [['crm.format_phone', 'util.*']],
    }),
};
