import { stringify } from 'yaml';
import { isRecord } from './config-path.ts';
import type { JsonSchema } from './config-schema.ts';
import { configJsonSchema } from './config-schema.ts';
import { DEFAULT_DENY, DENY_CATEGORIES, ONLY_OVER_CLASSES } from './deny-categories.ts';
import { DENY_TEXTS } from './deny-texts.ts';
import { REFUSAL_KINDS } from './refusal-codes.ts';

/** `config/rowgate.schema.json` and `docs/configuration.md`, generated from the schema that the loader runs. */

export function configSchemaText(): string {
  return `${JSON.stringify(configJsonSchema(), null, 2)}\n`;
}

export function configReference(): string {
  const schema = configJsonSchema();
  const keys = properties(schema);
  const sections = keys.filter(([, value]) => isSection(value));
  const scalars = keys.filter(([, value]) => !isSection(value));
  return `${[
    INTRODUCTION,
    '## Keys of the file',
    table(scalars.flatMap(([name, value]) => rows(name, value, isRequired(schema, name)))),
    yamlBlock(Object.fromEntries(scalars.filter(([name]) => name !== 'version').map(([name, value]) => [name, firstExample(value)]))),
    ...sections.flatMap(([name, value]) => [
      `## ${name}`,
      `${text(value['description'])}${isRequired(schema, name) ? ' Required.' : ''}`,
      table(contents(name, value)),
      yamlBlock({ [name]: firstExample(value) }),
    ]),
    '## Deny categories',
    `A statement of a denied category is refused with SQLSTATE 42501. The default of a role with quotas is \`[${DEFAULT_DENY.join(', ')}]\`.`,
    denyTable(),
    '## Refusals',
    'What a client can read from Rowgate itself, beside the errors of the server. `DETAIL` says what caused it, `HINT` what would work and whom to ask.',
    refusalTable(),
  ].join('\n\n')}\n`;
}

const INTRODUCTION = `# Configuration

<!-- Generated from src/policy/config-schema.ts. Do not edit: change the schema and run UPDATE=1 npx vitest run test/unit/policy. -->

One YAML file, read with \`rowgate serve -c FILE\` and checked beforehand with \`rowgate check -c FILE\`, which tells every mistake
with its line and column. [\`config/rowgate.yaml\`](../config/rowgate.yaml) is a commented example;
[\`config/rowgate.schema.json\`](../config/rowgate.schema.json) lets an editor complete and check the file.

The least that works:

\`\`\`yaml
version: 1
catalog: { user: rowgate, password: "\${ROWGATE_PASSWORD}" }
store: { memory: true }
classes:
  customers:
    relations:
      crm.customers: { subject: id }
roles:
  support:
    members: ["agent_*"]
    quotas:
      - { class: customers, window: 1h, rows: 200 }
\`\`\`

How values are written:

- **Durations** are a whole number and a unit: \`90s\`, \`15m\`, \`24h\`, \`30d\`.
- **Sizes** are bytes: \`512\`, \`512B\`, \`4KiB\`, \`1MiB\`, \`1GiB\`.
- **Patterns** know \`*\` (any characters) and \`?\` (one character); everything else is itself, and case counts.
- **\`\${VAR}\`** in a value takes an environment variable, **\`\${file:PATH}\`** the content of a file without its last line feed.
  Neither is ever printed. Write \`$\${\` for a plain \`\${\`, and put quotes around the value.
- An unknown key is an error, and so is a key that is there twice.

In the tables, \`NAME\` stands for a name of yours and \`[]\` for every entry of a list.`;

type Row = readonly [key: string, meaning: string, type: string, fallback: string, example: string];

/** The rows of what is inside a section. */
function contents(name: string, schema: JsonSchema): Row[] {
  const inner = isRecord(schema['additionalProperties']) ? schema['additionalProperties'] : undefined;
  if (inner !== undefined) return contents(`${name}.NAME`, inner);
  return properties(schema).flatMap(([key, value]) => rows(`${name}.${key}`, value, isRequired(schema, key)));
}

function rows(path: string, schema: JsonSchema, required: boolean): Row[] {
  const own: Row[] = schema['description'] === undefined ? [] : [[path, text(schema['description']), typeOf(schema), fallbackOf(schema, required), example(schema)]];
  if (Array.isArray(schema['anyOf']) || schema['x-type'] !== undefined) return own;
  const items = isRecord(schema['items']) ? schema['items'] : undefined;
  if (items !== undefined) return [...own, ...(isSection(items) ? contents(`${path}[]`, items) : [])];
  return [...own, ...(isSection(schema) ? contents(path, schema) : [])];
}

function typeOf(schema: JsonSchema): string {
  const named = schema['x-type'];
  if (typeof named === 'string') return named + unitOf(schema);
  if (Array.isArray(schema['enum'])) return schema['enum'].map((value) => `\`${String(value)}\``).join(', ');
  if (schema['const'] !== undefined) return `\`${JSON.stringify(schema['const'])}\``;
  if (Array.isArray(schema['anyOf'])) return schema['anyOf'].filter(isRecord).map((each) => typeOf(each)).join(' or ');
  switch (schema['type']) {
    case 'integer':
      return `whole number${unitOf(schema)}`;
    case 'boolean':
      return '`true`, `false`';
    case 'array':
      return 'list';
    case 'object':
      return 'mapping';
    default:
      return 'text';
  }
}

function unitOf(schema: JsonSchema): string {
  const unit = schema['x-unit'];
  return typeof unit === 'string' && schema['x-type'] !== 'size' ? ` of ${unit}` : '';
}

function fallbackOf(schema: JsonSchema, required: boolean): string {
  if (required) return 'required';
  const told = schema['x-default'];
  if (typeof told === 'string') return told;
  const fallback = schema['default'];
  return fallback === undefined ? '' : code(fallback);
}

function example(schema: JsonSchema): string {
  const examples = schema['examples'];
  return Array.isArray(examples) ? examples.map(code).join(', ') : '';
}

/** As it would stand in the file, on one line. */
function code(value: unknown): string {
  return `\`${stringify(value, { collectionStyle: 'flow', lineWidth: 0 }).trim().replaceAll(/^"(\$\{.*\})"$/g, '$1')}\``;
}

function yamlBlock(content: unknown): string {
  return `\`\`\`yaml\n${stringify(content, { lineWidth: 0 }).trim()}\n\`\`\``;
}

function table(body: readonly Row[]): string {
  return markdownTable(['Key', 'Meaning', 'Value', 'Default', 'Example'], body.map(([key, ...rest]) => [`\`${key}\``, ...rest]));
}

function denyTable(): string {
  return markdownTable(
    ['Category', 'Covers', 'Counts'],
    [...DENY_CATEGORIES].toSorted().map((category) => [
      `\`${category}\``,
      DENY_TEXTS[category].covers,
      ONLY_OVER_CLASSES.has(category) ? 'where the statement reaches a class' : 'always',
    ]),
  );
}

function refusalTable(): string {
  return markdownTable(
    ['Refusal', 'SQLSTATE', 'Severity', 'Log level', 'Meaning'],
    Object.entries(REFUSAL_KINDS).map(([name, kind]) => [`\`${name}\``, kind.sqlstate, kind.severity, kind.logLevel, kind.meaning]),
  );
}

function markdownTable(head: readonly string[], body: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...body.map(line)].join('\n');
}

function properties(schema: JsonSchema): [string, JsonSchema][] {
  return isRecord(schema['properties']) ? Object.entries(schema['properties']).filter((entry): entry is [string, JsonSchema] => isRecord(entry[1])) : [];
}

function isSection(schema: JsonSchema): boolean {
  return schema['type'] === 'object';
}

function isRequired(schema: JsonSchema, key: string): boolean {
  const required = schema['required'];
  return Array.isArray(required) && required.includes(key);
}

function firstExample(schema: JsonSchema): unknown {
  const examples = schema['examples'];
  return Array.isArray(examples) ? examples[0] : undefined;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
