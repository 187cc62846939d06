import type { RawNode } from './dialect.ts';
import { child, list, open, text, unwrap } from './tree.ts';

export interface LimitedRows {
  readonly rows: number;
  /** The RangeVar nodes of its FROM. */
  readonly relations: readonly RawNode[];
}

/** Clauses that make of a SELECT something else than rows of its FROM. */
const OTHER = ['larg', 'withClause', 'intoClause', 'groupClause', 'havingClause', 'windowClause', 'valuesLists', 'lockingClause', 'distinctClause'];
const MOST_LEVELS = 16;

/**
 * `SELECT json_agg(t) FROM (SELECT a, b FROM x ORDER BY a LIMIT 10) t`: whatever is made of it, it is made of ten rows. Only where the sub-select is all that the
 * outer ones read: beside another item of FROM it may run again for each of that one's rows, and with a random order give others each time.
 */
export function limitedRows(tree: RawNode): LimitedRows | undefined {
  let select = unwrap(tree, 'SelectStmt');
  for (let level = 0; select !== undefined && level < MOST_LEVELS; level += 1) {
    const [from, ...others] = list(select, 'fromClause');
    const inner = unwrap(from, 'RangeSubselect');
    if (inner === undefined) return level === 0 ? undefined : limited(select);
    if (others.length > 0 || ['larg', 'withClause', 'intoClause', 'lockingClause'].some((clause) => select?.[clause] !== undefined)) return undefined;
    select = unwrap(inner['subquery'], 'SelectStmt');
  }
  return undefined;
}

function limited(select: RawNode): LimitedRows | undefined {
  const count = child(child(child(select, 'limitCount'), 'A_Const'), 'ival');
  if (count === undefined || text(select, 'limitOption') !== 'LIMIT_OPTION_COUNT' || OTHER.some((clause) => (Array.isArray(select[clause]) ? list(select, clause).length > 0 : select[clause] !== undefined))) return undefined;
  // An expression may pack.
  if (!list(select, 'targetList').every((target) => unwrap(unwrap(target, 'ResTarget')?.['val'], 'ColumnRef') !== undefined)) return undefined;
  const relations: RawNode[] = [];
  const todo = [...list(select, 'fromClause')];
  while (todo.length > 0) {
    const item = open(todo.pop());
    if (item?.kind === 'JoinExpr') todo.push(item.body['larg'], item.body['rarg']);
    else if (item?.kind === 'RangeVar') relations.push(item.body);
    else return undefined;
  }
  const rows = count['ival'];
  return { rows: typeof rows === 'number' ? rows : 0, relations };
}
