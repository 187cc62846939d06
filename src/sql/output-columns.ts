import type { RawNode } from './dialect.ts';
import type { OutputColumn } from './facts.ts';
import { child, list, open, rangeVarName, strings, text, unwrap, type QualifiedName } from './tree.ts';

/**
 * Which columns a query gives as they stand in a relation that it names: for COPY and for views, where no RowDescription tells. Whatever is not a plain reference to one
 * relation of the query's own FROM is `undefined`; a query whose columns cannot be counted off (WITH, UNION, VALUES) has no answer.
 */
export function outputColumns(kind: string, node: RawNode): readonly (OutputColumn | undefined)[] | undefined {
  if (kind === 'CopyStmt') return copyColumns(node);
  if (kind !== 'SelectStmt' || node['larg'] !== undefined || node['withClause'] !== undefined || list(node, 'valuesLists').length > 0) return undefined;
  const items = fromItems(list(node, 'fromClause'));
  if (items === undefined) return undefined;
  return list(node, 'targetList').map((target) => columnOf(unwrap(unwrap(target, 'ResTarget')?.['val'], 'ColumnRef'), items));
}

function copyColumns(node: RawNode): readonly (OutputColumn | undefined)[] | undefined {
  if (node['is_from'] === true) return undefined;
  const relation = child(node, 'relation');
  if (relation === undefined) {
    const query = open(node['query']);
    return query === undefined ? undefined : outputColumns(query.kind, query.body);
  }
  const name = rangeVarName(relation);
  const columns = strings(list(node, 'attlist'));
  if (columns === undefined) return undefined;
  return columns.length === 0 ? [{ relation: name, column: '*' }] : columns.map((column) => ({ relation: name, column }));
}

/** Relations by the name that columns are qualified with; undefined stands for an item that is no relation, or a name that two bear. */
type FromItems = ReadonlyMap<string, QualifiedName | undefined>;

function fromItems(from: readonly unknown[]): FromItems | undefined {
  const items = new Map<string, QualifiedName | undefined>();
  const todo = [...from];
  for (let item = todo.pop(); item !== undefined; item = todo.pop()) {
    const opened = open(item);
    if (opened?.kind === 'JoinExpr') {
      // A join with an alias of its own renames what is inside, and USING merges columns.
      if (opened.body['alias'] !== undefined || opened.body['join_using_alias'] !== undefined) return undefined;
      todo.push(opened.body['larg'], opened.body['rarg']);
      continue;
    }
    const alias = child(opened?.body, 'alias');
    const relation = opened?.kind === 'RangeVar' ? rangeVarName(opened.body) : undefined;
    const name = text(alias, 'aliasname') ?? relation?.name ?? '';
    const plain = relation !== undefined && list(alias, 'colnames').length === 0;
    items.set(name, plain && !items.has(name) ? relation : undefined);
  }
  return items;
}

function columnOf(reference: RawNode | undefined, items: FromItems): OutputColumn | undefined {
  const fields = list(reference, 'fields');
  const last = fields.at(-1);
  const column = unwrap(last, 'A_Star') === undefined ? text(unwrap(last, 'String'), 'sval') : '*';
  if (column === undefined || fields.length === 0 || fields.length > 2) return column === '*' ? UNCOUNTABLE : undefined;
  if (fields.length === 2) {
    const relation = items.get(text(unwrap(fields[0], 'String'), 'sval') ?? '');
    return relation === undefined ? (column === '*' ? UNCOUNTABLE : undefined) : { relation, column };
  }
  const [only, ...others] = items.values();
  if (only === undefined || others.length > 0) return column === '*' ? UNCOUNTABLE : undefined;
  return { relation: only, column };
}

/** A star over several items, or over what is no relation: how many columns it stands for is not known. */
const UNCOUNTABLE: OutputColumn = { relation: undefined, column: '*' };
