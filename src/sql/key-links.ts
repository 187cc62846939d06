import type { RawNode } from './dialect.ts';
import { isExactType } from './exact-types.ts';
import type { ColumnOfUse, KeyLink, Pin } from './facts.ts';
import { child, list, open, qualified, strings, text, unwrap } from './tree.ts';

/**
 * Finds equalities that tie two relation uses together in every row that they give. A link lets two references count as one person, so
 * every doubt means no link: a missing one over-charges, a wrong one leaks.
 *
 * Names. A qualifier is resolved only if exactly one FROM item of its own query level *and of all levels around it* bears that name.
 * PostgreSQL hides some of those (a sub-select without LATERAL does not see its siblings, ON sees only its own join's arms, a join with
 * an alias hides what is inside), but what it does see is among them, so a statement that it accepts can only mean that one.
 *
 * Rows. Links are transitive for whoever counts them, while NULLs are not: `a CROSS JOIN b LEFT JOIN t ON t.x = a.id AND t.x = b.id` keeps
 * every pair of a and b, and only t becomes NULL. What must hold is: in every row, the uses of one linked group that are not NULL
 * belong to one person. So whatever can be absent while the rest of the row stays (the NULL side of an outer join, a sub-select) may
 * hang on the rest by one use only.
 */

/** One FROM list: a SELECT, or the relations of an UPDATE, DELETE, MERGE or INSERT. */
export interface QueryLevel {
  readonly outer: QueryLevel | undefined;
  readonly names: Map<string, NamedItem>;
  /** An item whose name is not known stands here: nothing resolves through this level. */
  unnamed: boolean;
  /** OLD, NEW and EXCLUDED are names here; columns without a qualifier never mean theirs (RETURNING, ON CONFLICT). */
  readonly changes: boolean;
}

interface NamedItem {
  /** Index into the relation uses; undefined for everything that is not a plain relation. */
  readonly use: number | undefined;
  /** As written, if the item is a relation without an alias: only then does `schema.table.column` mean it. */
  readonly schema: string | undefined;
  readonly count: number;
}

const ROW_NAMES: ReadonlySet<string> = new Set(['old', 'new', 'excluded']);

export function newLevel(outer: QueryLevel | undefined, changes: boolean): QueryLevel {
  const level: QueryLevel = { outer, names: new Map(), unnamed: false, changes };
  if (changes) for (const name of ROW_NAMES) nameItem(level, name);
  return level;
}

export function nameItem(level: QueryLevel | undefined, name: string, use?: number, schema?: string): void {
  if (level === undefined) return;
  const earlier = level.names.get(name);
  level.names.set(name, earlier === undefined ? { use, schema, count: 1 } : { use: undefined, schema: undefined, count: earlier.count + 1 });
}

/** A condition to search. Collected during the walk and searched after it, when every name is known. */
type Condition =
  | { readonly kind: 'where'; readonly level: QueryLevel; readonly quals: unknown }
  | { readonly kind: 'join'; readonly level: QueryLevel; readonly join: RawNode }
  | { readonly kind: 'merge'; readonly level: QueryLevel; readonly merge: RawNode };

/** Conditions beyond this number are not searched. Missing links only over-charge. */
const MAX_CONDITIONS = 10_000;
const MAX_LINKS = 10_000;

export class LinkFinder {
  readonly #conditions: Condition[] = [];
  /** The relation use that a RangeVar node became. Absent for CTE references and relations with renamed columns. */
  readonly #uses = new Map<RawNode, number>();

  /** The node gives rows of this use under its own column names. */
  plainRelation(node: RawNode, use: number): void {
    this.#uses.set(node, use);
  }

  /** The column that a reference means, once every name is known. */
  columnOf(reference: unknown, level: QueryLevel | undefined): ColumnOfUse | undefined {
    const found = level === undefined ? undefined : resolve(reference, level) ?? soleColumn(reference, level);
    return found?.own === true ? { use: found.use, column: found.column } : undefined;
  }

  /** `a.x = 5` among the ANDed parts of WHERE: whatever a row of `a` is joined with, it has this value. */
  pins(): Pin[] {
    const pins: Pin[] = [];
    for (const condition of this.#conditions) {
      if (condition.kind !== 'where') continue;
      for (const [left, right] of equalSides(condition.quals)) {
        const onRight = constant(right);
        const equal = onRight ?? constant(left);
        const pinned = equal === undefined ? undefined : this.columnOf(onRight === undefined ? right : left, condition.level);
        if (pinned !== undefined && pins.length < MAX_LINKS) pins.push({ ...pinned, ...equal });
      }
    }
    return pins;
  }

  addWhere(level: QueryLevel, quals: unknown): void {
    this.#add({ kind: 'where', level, quals });
  }

  addJoin(level: QueryLevel, join: RawNode): void {
    this.#add({ kind: 'join', level, join });
  }

  addMerge(level: QueryLevel, merge: RawNode): void {
    this.#add({ kind: 'merge', level, merge });
  }

  #add(condition: Condition): void {
    if (this.#conditions.length < MAX_CONDITIONS) this.#conditions.push(condition);
  }

  links(): KeyLink[] {
    const links: KeyLink[] = [];
    for (const condition of this.#conditions) {
      if (links.length >= MAX_LINKS) break;
      switch (condition.kind) {
        case 'where':
          links.push(...this.#whereLinks(condition.quals, condition.level));
          break;
        case 'merge':
          links.push(...this.#mergeLinks(condition.merge, condition.level));
          break;
        case 'join':
          links.push(...this.#joinLinks(condition.join, condition.level));
          break;
      }
    }
    return links;
  }

  /** ON may also mention outer levels; a sub-select's ON filters none of their rows, so both sides have to be of this level. */
  #joinLinks(join: RawNode, level: QueryLevel): KeyLink[] {
    const on = join['quals'] === undefined ? [] : this.#equalities(join['quals'], level).filter(({ outer }) => outer === undefined);
    const links = [...this.#usingLinks(join), ...on.map(({ link }) => link)];
    if (links.length === 0) return links;
    switch (text(join, 'jointype')) {
      case 'JOIN_INNER': return links;
      case 'JOIN_LEFT': return optionalSide(links, this.#usesIn(join['rarg']));
      case 'JOIN_RIGHT': return optionalSide(links, this.#usesIn(join['larg']));
      case 'JOIN_FULL': return onePair(links, this.#usesIn(join['larg']), this.#usesIn(join['rarg']));
      default: return [];
    }
  }

  /** MERGE joins like FULL JOIN: WHEN NOT MATCHED [BY SOURCE] keeps the rows of either side. */
  #mergeLinks(merge: RawNode, level: QueryLevel): KeyLink[] {
    const found = this.#equalities(merge['joinCondition'], level).filter(({ outer }) => outer === undefined).map(({ link }) => link);
    const target = this.#uses.get(child(merge, 'relation') ?? {});
    return onePair(found, new Set(target === undefined ? [] : [target]), this.#usesIn(merge['sourceRelation']));
  }

  /** WHERE filters every row of its own level. Of the rows around it it filters none, so those hang on by one use. */
  #whereLinks(quals: unknown, level: QueryLevel): KeyLink[] {
    const found = this.#equalities(quals, level);
    const anchor = found.find(({ outer }) => outer !== undefined)?.outer;
    return found.filter(({ outer }) => outer === undefined || outer === anchor).map(({ link }) => link);
  }

  #usingLinks(join: RawNode): KeyLink[] {
    const columns = strings(list(join, 'usingClause')) ?? [];
    const links: KeyLink[] = [];
    for (const column of columns) {
      const left = this.#columnOf(join['larg'], column);
      const right = this.#columnOf(join['rarg'], column);
      if (left !== undefined && right !== undefined && left !== right) links.push({ left, leftColumn: column, right, rightColumn: column });
    }
    return links;
  }

  /** The relation that a USING column of this arm is certain to come from. */
  #columnOf(arm: unknown, column: string): number | undefined {
    for (let at = open(arm); at !== undefined;) {
      if (at.kind === 'RangeVar') return this.#uses.get(at.body);
      if (at.kind !== 'JoinExpr' || at.body['alias'] !== undefined) return undefined;
      if (!(strings(list(at.body, 'usingClause')) ?? []).includes(column)) return undefined;
      // The merged column is the left one, for RIGHT JOIN the right one; for FULL JOIN it is neither.
      const type = text(at.body, 'jointype');
      if (type === 'JOIN_INNER' || type === 'JOIN_LEFT') at = open(at.body['larg']);
      else if (type === 'JOIN_RIGHT') at = open(at.body['rarg']);
      else return undefined;
    }
    return undefined;
  }

  /** Plain relations of a join arm, sub-selects not entered. */
  #usesIn(arm: unknown): ReadonlySet<number> {
    const uses = new Set<number>();
    const todo: unknown[] = [arm];
    while (todo.length > 0) {
      const item = open(todo.pop());
      if (item?.kind === 'JoinExpr') todo.push(item.body['larg'], item.body['rarg']);
      if (item?.kind === 'RangeTableSample') todo.push(item.body['relation']);
      if (item?.kind !== 'RangeVar') continue;
      const use = this.#uses.get(item.body);
      if (use !== undefined) uses.add(use);
    }
    return uses;
  }

  /** `a.x = b.y` among the ANDed parts, with at least one side of this level. `outer` is the side that is not. */
  #equalities(quals: unknown, level: QueryLevel): Equality[] {
    const found: Equality[] = [];
    for (const [leftSide, rightSide] of equalSides(quals)) {
      if (found.length >= MAX_LINKS) break;
      const left = resolve(leftSide, level);
      const right = resolve(rightSide, level);
      if (left === undefined || right === undefined || left.use === right.use || !(left.own || right.own)) continue;
      const link = { left: left.use, leftColumn: left.column, right: right.use, rightColumn: right.column };
      found.push({ link, outer: left.own ? (right.own ? undefined : right.use) : left.use });
    }
    return found;
  }
}

/** Both sides of every `=` that is ANDed at the top. */
function* equalSides(quals: unknown): Generator<readonly [unknown, unknown]> {
  const todo: unknown[] = [quals];
  while (todo.length > 0) {
    const part = open(todo.pop());
    if (part?.kind === 'BoolExpr' && part.body['boolop'] === 'AND_EXPR') todo.push(...list(part.body, 'args').toReversed());
    if (part?.kind !== 'A_Expr' || part.body['kind'] !== 'AEXPR_OP') continue;
    const operator = strings(list(part.body, 'name'));
    if (operator?.length === 1 && operator[0] === '=') yield [part.body['lexpr'], part.body['rexpr']];
  }
}

/** A literal, or either under a cast to a type that equals one value; a parameter, whose type its statement does not tell: the same for every row. */
function constant(value: unknown): Pick<Pin, 'parameter' | 'cast'> | undefined {
  const node = open(value);
  // With transform_null_equals `= NULL` is IS NULL, which any number of rows can be.
  if (node?.kind === 'A_Const') return node.body['isnull'] === true ? undefined : {};
  if (node?.kind === 'ParamRef') return { parameter: typeof node.body['number'] === 'number' ? node.body['number'] : 0 };
  if (node?.kind !== 'TypeCast') return undefined;
  const type = qualified(list(child(node.body, 'typeName'), 'names'));
  const inner = open(node.body['arg'])?.kind;
  if (type === undefined || !isExactType(type) || (inner !== 'A_Const' && inner !== 'ParamRef')) return undefined;
  return type.schema === undefined ? { cast: type.name } : {};
}

/** `column` alone, where FROM is one plain relation: it means that relation's column if there is one of the name. */
function soleColumn(value: unknown, level: QueryLevel): { readonly use: number; readonly column: string; readonly own: boolean } | undefined {
  const [column, ...others] = strings(list(unwrap(value, 'ColumnRef'), 'fields')) ?? [];
  const [item, ...more] = [...level.names].flatMap(([name, each]) => (level.changes && ROW_NAMES.has(name) && each.use === undefined && each.count === 1 ? [] : [each]));
  if (column === undefined || others.length > 0 || level.unnamed || more.length > 0 || item?.use === undefined || item.count > 1) return undefined;
  return { use: item.use, column, own: true };
}

interface Equality {
  readonly link: KeyLink;
  readonly outer: number | undefined;
}

/** Links of an outer join whose `optional` side becomes NULL: those that touch it, all from one use of the side that is kept. */
function optionalSide(links: readonly KeyLink[], optional: ReadonlySet<number>): KeyLink[] {
  let anchor: number | undefined;
  return links.filter(({ left, right }) => {
    if (optional.has(left) && optional.has(right)) return true;
    if (!optional.has(left) && !optional.has(right)) return false;
    const kept = optional.has(left) ? right : left;
    anchor ??= kept;
    return kept === anchor;
  });
}

/** Links of a join where either side can become NULL: those between one use of each side. */
function onePair(links: readonly KeyLink[], leftSide: ReadonlySet<number>, rightSide: ReadonlySet<number>): KeyLink[] {
  let pair: readonly [number, number] | undefined;
  return links.filter((link) => {
    const ends = leftSide.has(link.left) ? [link.left, link.right] as const : [link.right, link.left] as const;
    if (!leftSide.has(ends[0]) || !rightSide.has(ends[1])) return false;
    pair ??= ends;
    return pair[0] === ends[0] && pair[1] === ends[1];
  });
}

/** `alias.column`, `table.column` or `schema.table.column`, if it can mean one relation only. */
function resolve(value: unknown, level: QueryLevel): { readonly use: number; readonly column: string; readonly own: boolean } | undefined {
  const parts = strings(list(unwrap(value, 'ColumnRef'), 'fields'));
  if (parts === undefined || parts.length < 2 || parts.length > 3) return undefined;
  const [schema, name, column] = parts.length === 3 ? parts : [undefined, ...parts];
  if (name === undefined || column === undefined) return undefined;
  let found: NamedItem | undefined;
  let own = false;
  for (let at: QueryLevel | undefined = level; at !== undefined; at = at.outer) {
    if (at.unnamed) return undefined;
    const item = at.names.get(name);
    if (item === undefined) continue;
    if (found !== undefined || item.count > 1) return undefined;
    found = item;
    own = at === level;
  }
  if (found?.use === undefined || (schema !== undefined && found.schema !== schema)) return undefined;
  return { use: found.use, column, own };
}
