import { createRequire } from 'node:module';
import { describe, expect, it } from 'vitest';
import { collect } from '../../../src/sql/fact-collector.ts';
import { NEVER_IN_RAW_TREES, NODE_TABLE } from '../../../src/sql/node-table.ts';
import { relationPlace } from '../../../src/sql/relation-places.ts';
import { statementTraits } from '../../../src/sql/statement-kinds.ts';
import { walk } from '../../../src/sql/walk.ts';

interface PublishedNode {
  readonly name: string;
  readonly fields: readonly { readonly name: string; readonly type: string }[];
}

const { runtimeSchema } = createRequire(import.meta.url)('@pgsql/traverse/18/runtime-schema.js') as { readonly runtimeSchema: readonly PublishedNode[] };
const never = new Set(NEVER_IN_RAW_TREES);
const published = runtimeSchema.filter((node) => !never.has(node.name));

describe('the node table', () => {
  it('holds every node kind and child field of the published schema, and nothing else', () => {
    const kinds = new Set(published.map((node) => node.name));
    const expected = Object.fromEntries(published.map((node) => [
      node.name,
      Object.fromEntries(node.fields
        .filter((field) => field.name !== 'xpr' && (field.type === 'Node' || kinds.has(field.type)))
        .map((field) => [field.name, field.type === 'Node' ? undefined : field.type])),
    ]));
    expect(Object.fromEntries([...NODE_TABLE].map(([kind, fields]) => [kind, Object.fromEntries(fields)]))).toEqual(expected);
  });

  it('leaves out only kinds that exist', () => {
    expect(NEVER_IN_RAW_TREES.filter((kind) => !runtimeSchema.some((node) => node.name === kind))).toEqual([]);
  });

  it('says for every field that holds a relation what that means', () => {
    const fields = published.flatMap((node) => node.fields.filter((field) => field.type === 'RangeVar').map((field) => `${node.name}.${field.name}`));
    // COPY is both, by direction.
    expect(fields.filter((field) => relationPlace(...(field.split('.') as [string, string])) === undefined)).toEqual(['CopyStmt.relation']);
  });

  it('says for every statement of what kind it is', () => {
    const statements = published.map((node) => node.name).filter((name) => name.endsWith('Stmt'));
    // These stand inside of other statements only.
    expect(statements.filter((name) => statementTraits(name, {}) === undefined)).toEqual(['PLAssignStmt', 'RawStmt', 'ReturnStmt']);
  });
});

describe('the walk', () => {
  const wrap = (node: unknown): Record<string, unknown> => ({ SelectStmt: { targetList: [node] } });

  it.each<readonly [what: string, tree: Record<string, unknown>, problem: string]>([
    ['a node kind that is not known', wrap({ FutureExpr: { arg: {} } }), 'unknown node kind FutureExpr'],
    ['a kind that the raw grammar never makes', wrap({ FuncExpr: { funcid: 1 } }), 'unknown node kind FuncExpr'],
    ['a field that is not known', wrap({ ResTarget: { future: { RangeVar: {} } } }), 'unknown field ResTarget.future'],
    ['a list in a list', wrap([{ RangeVar: {} }]), 'unexpected value in SelectStmt.targetList'],
    ['a wrapper with two keys', wrap({ RangeVar: {}, FuncCall: {} }), 'unexpected wrapper in SelectStmt.targetList'],
    ['a wrapper around a scalar', wrap({ RangeVar: 'x' }), 'unexpected wrapper in SelectStmt.targetList'],
    ['a word of the object prototype', wrap({ constructor: {} }), 'unknown node kind constructor'],
  ])('refuses %s', (_what, tree, problem) => {
    expect(walk(tree, undefined, () => undefined)).toBe(problem);
    expect(collect(tree)).toMatchObject({ opaque: [problem], categories: ['opaque'], links: [] });
  });

  it('goes as deep as a tree is', () => {
    let tree: Record<string, unknown> = { RangeVar: { relname: 'deep' } };
    for (let depth = 0; depth < 200_000; depth += 1) tree = { A_Expr: { kind: 'AEXPR_OP', lexpr: tree } };
    expect(collect(wrap(tree)).relations).toEqual([{ schema: undefined, name: 'deep', mode: 'read', times: 1 }]);
  });

  it('visits parents first and siblings in the order of the text', () => {
    const seen: string[] = [];
    walk({ SelectStmt: { targetList: [{ RowExpr: { args: [{ Integer: {} }, {}, { Float: {} }] } }], whereClause: { ParamRef: {} } } }, undefined, (kind) => {
      seen.push(kind);
      return undefined;
    });
    expect(seen).toEqual(['SelectStmt', 'RowExpr', 'Integer', 'Float', 'ParamRef']);
  });
});
