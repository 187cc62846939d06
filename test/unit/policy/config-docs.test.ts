import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { auditRecordSchemaText } from '../../../src/audit/record-schema.ts';
import { configReference, configSchemaText } from '../../../src/policy/config-docs.ts';
import { configJsonSchema } from '../../../src/policy/config-schema.ts';
import { loadConfig } from '../../../src/policy/load-config.ts';
import { problemLines, sources } from './fixtures.ts';

const root = new URL('../../../', import.meta.url);

/** Compares with what is committed; `UPDATE=1` writes it anew. */
function expectCommitted(path: string, generated: string): void {
  const file = new URL(path, root);
  if (process.env['UPDATE'] === '1') writeFileSync(file, generated);
  expect(readFileSync(file, 'utf8'), `${path} is stale: run UPDATE=1 npx vitest run test/unit/policy`).toBe(generated);
}

describe('the generated files', () => {
  it('have a committed JSON Schema that equals what the loader\'s schema gives', () => {
    expectCommitted('config/rowgate.schema.json', configSchemaText());
  });

  it('have a committed JSON Schema of an audit record that equals what the program validates by', () => {
    expectCommitted('config/audit-record.schema.json', auditRecordSchemaText());
  });

  it('have a committed reference that equals what the loader\'s schema gives', () => {
    expectCommitted('docs/configuration.md', configReference());
  });
});

describe('the configuration reference', () => {
  const blocks = [...configReference().matchAll(/```yaml\n([\s\S]*?)```/g)].map((match) => match[1] ?? '');

  it('has an example for every section', () => {
    expect(blocks.length).toBeGreaterThanOrEqual(Object.keys(configJsonSchema()['properties'] as object).length - 4);
  });

  it.each(blocks.map((block) => [block.split('\n')[0], block]))('has an example that loads: %s', (_name, block) => {
    const whole = { ...(parse(blocks[0] ?? '') as object), ...(parse(block) as object) };
    // A role in an example names the classes of the other examples: `customers`.
    expect(problemLines(loadConfig(JSON.stringify(whole), 'example', sources()))).toEqual([]);
  });

  it('tells meaning, and default or need, of every key', () => {
    const [keys = ''] = configReference().split('## Deny categories');
    const rows = keys.split('\n').filter((line) => /^\| `[a-z]/.test(line));
    expect(rows.length).toBeGreaterThan(50);
    for (const row of rows) {
      const [, , meaning = '', , fallback = '', example = ''] = row.split(' | ').flatMap((cell, index) => (index === 0 ? ['', cell] : [cell.replace(/ \|$/, '').trim()]));
      expect(meaning, row).toMatch(/\.$/);
      expect(fallback, row).not.toBe('');
      expect(example, row).not.toBe('');
    }
  });
});

describe('the shipped configuration', () => {
  const text = readFileSync(new URL('config/rowgate.yaml', root), 'utf8');

  it('loads without a problem', () => {
    expect(problemLines(loadConfig(text, 'rowgate.yaml', sources()))).toEqual([]);
  });

  it('names its schema in the first line, for editors', () => {
    expect(text.split('\n')[0]).toBe('# yaml-language-server: $schema=./rowgate.schema.json');
  });
});
