import type { RawNode, SqlParser } from './dialect.ts';
import { guardsOf, NO_GUARDS } from './plpgsql-guards.ts';
import { TRIGGER_ROW, type BodyStatement, type RoutineBody, type TypeUse } from './facts.ts';
import { statementFacts } from './statement-facts.ts';
import { isNode, list, open, stringConstant, text, unwrap } from './tree.ts';
import { wordsOf, type Word } from './words.ts';

/** PL/pgSQL: the tree of its own grammar, every expression and statement of it read as SQL. */

export interface PlpgsqlSource {
  /** A whole CREATE FUNCTION or DO. */
  readonly definition: string;
  /** The body as it stands in it. */
  readonly source: string;
  /** Names of the arguments. */
  readonly parameters: readonly string[];
}

/** Node kinds of the tree. Anything else makes the body opaque. */
const KINDS: ReadonlySet<string> = new Set([
  'PLpgSQL_function', 'PLpgSQL_var', 'PLpgSQL_row', 'PLpgSQL_rec', 'PLpgSQL_recfield', 'PLpgSQL_type', 'PLpgSQL_expr',
  'PLpgSQL_stmt_block', 'PLpgSQL_exception_block', 'PLpgSQL_exception', 'PLpgSQL_condition', 'PLpgSQL_stmt_assign', 'PLpgSQL_stmt_if', 'PLpgSQL_if_elsif',
  'PLpgSQL_stmt_case', 'PLpgSQL_case_when', 'PLpgSQL_stmt_loop', 'PLpgSQL_stmt_while', 'PLpgSQL_stmt_fori', 'PLpgSQL_stmt_fors', 'PLpgSQL_stmt_forc',
  'PLpgSQL_stmt_dynfors', 'PLpgSQL_stmt_foreach_a', 'PLpgSQL_stmt_exit', 'PLpgSQL_stmt_return', 'PLpgSQL_stmt_return_next', 'PLpgSQL_stmt_return_query',
  'PLpgSQL_stmt_raise', 'PLpgSQL_raise_option', 'PLpgSQL_stmt_assert', 'PLpgSQL_stmt_execsql', 'PLpgSQL_stmt_dynexecute', 'PLpgSQL_stmt_getdiag',
  'PLpgSQL_diag_item', 'PLpgSQL_stmt_open', 'PLpgSQL_stmt_fetch', 'PLpgSQL_stmt_close', 'PLpgSQL_stmt_perform', 'PLpgSQL_stmt_call', 'PLpgSQL_stmt_commit',
  'PLpgSQL_stmt_rollback',
]);
const LOOPS: ReadonlySet<string> = new Set([
  'PLpgSQL_stmt_loop', 'PLpgSQL_stmt_while', 'PLpgSQL_stmt_fori', 'PLpgSQL_stmt_fors', 'PLpgSQL_stmt_forc', 'PLpgSQL_stmt_dynfors', 'PLpgSQL_stmt_foreach_a',
]);
/** Fields that hold the text of a statement which is only made when the body runs. */
const DYNAMIC: Readonly<Record<string, string>> = {
  PLpgSQL_stmt_dynexecute: 'query', PLpgSQL_stmt_dynfors: 'query', PLpgSQL_stmt_open: 'dynquery', PLpgSQL_stmt_return_query: 'dynquery',
};

/** Where the values come from stands elsewhere. */
const FILLING: ReadonlySet<string> = new Set(['PLpgSQL_stmt_fetch', 'PLpgSQL_stmt_forc', 'PLpgSQL_diag_item']);

/** What runs next hangs on their value. */
const DECIDING: ReadonlySet<string> = new Set(['PLpgSQL_stmt_if.cond', 'PLpgSQL_if_elsif.cond', 'PLpgSQL_stmt_case.t_expr', 'PLpgSQL_case_when.expr', 'PLpgSQL_stmt_exit.cond', 'PLpgSQL_stmt_assert.cond']);

/** RawParseMode (parser/parser.h): whole statements, types, expressions, and assignments to a name of one, two or three parts. */
const MODE_STATEMENT = 0;
const MODE_EXPRESSION = 2;
const MOST_EXPRESSIONS = 5_000;

/** What the server itself puts into a body's variables; none of it is stored data. FOUND tells whether there is any. */
const CLEAN = /^tg_[a-z_]+$/;

interface Expression {
  readonly sql: string;
  readonly mode: number;
  readonly assigns: readonly string[];
  readonly decides: boolean;
  readonly decidesRow: boolean;
}

export const EMPTY_BODY: RoutineBody = { statements: [], arguments: [], filled: [], catches: false, guarded: [], loops: false, opensCursors: false, types: [], searchPath: undefined, opaque: [] };

export function plpgsqlBody(source: PlpgsqlSource, parser: SqlParser): RoutineBody {
  const words = wordsOf(source.source, parser);
  if (words === undefined || words.some((word) => word.text.startsWith('u&'))) return opaqueBody('has a body that is not understood');
  const tree = parse(source, words, parser);
  const roots = list(isNode(tree) ? tree : undefined, 'plpgsql_funcs');
  const root = unwrap(roots[0], 'PLpgSQL_function');
  if (root === undefined || roots.length !== 1) return opaqueBody('has a body that is not understood');
  return new BodyReader(source, root, words, parser).read();
}

/**
 * The library knows no catalog: it takes `crm.customers%ROWTYPE` for a plain value and then finds no fields in it. Written as `record` it parses. As an operator,
 * `a % rowtype` would name a column of that name, which is neither a call nor a relation.
 */
function parse({ definition, source }: PlpgsqlSource, words: readonly Word[], parser: SqlParser): unknown {
  const tree = parser.parsePlpgsql(definition);
  if (tree !== undefined || !parser.usable) return tree;
  let rewritten = '';
  let at = 0;
  for (const [i, word] of words.entries()) {
    if (word.text !== '%' || words[i + 1]?.text !== 'rowtype' || ['(', '.'].includes(words[i + 2]?.text ?? '')) continue;
    let first = i - 1;
    while (words[first - 1]?.text === '.' && first >= 2) first -= 2;
    const [from, to] = [words[first]?.start, words[i + 1]?.end];
    if (from === undefined || to === undefined || from < at) continue;
    rewritten += `${source.slice(at, from)}record`;
    at = to;
  }
  if (at === 0) return undefined;
  const where = definition.lastIndexOf(source);
  return parser.parsePlpgsql(`${definition.slice(0, where)}${rewritten}${source.slice(at)}${definition.slice(where + source.length)}`);
}

/** `crm.customers.id%TYPE` and `crm.customers%ROWTYPE`, which the library does not resolve: the relation's row type, which has the column's in it. */
function typesOfColumns(words: readonly Word[]): TypeUse[] {
  return words.flatMap((word, i): TypeUse[] => {
    const like = words[i + 1]?.text;
    if (word.text !== '%' || (like !== 'type' && like !== 'rowtype')) return [];
    const names: string[] = [];
    for (let at = i - 1; at >= 0; at -= 2) {
      names.unshift(words[at]?.text ?? '');
      if (words[at - 1]?.text !== '.') break;
    }
    const [name, schema] = (like === 'type' ? names.slice(0, -1) : names).toReversed();
    return name === undefined ? [] : [{ schema, name, orNone: true }];
  });
}

class BodyReader {
  readonly #source: PlpgsqlSource;
  readonly #root: RawNode;
  readonly #words: readonly Word[];
  readonly #parser: SqlParser;
  readonly #expressions: Expression[] = [];
  readonly #opaque = new Set<string>();
  readonly #types: TypeUse[] = [];
  /** Datums by number. */
  readonly #datums: readonly (RawNode | undefined)[];
  readonly #arguments = new Set<string>(['$']);
  /** Everything that a name in an expression can mean. */
  readonly #names = new Set<string>();
  readonly #filled = new Set<string>();
  readonly #isTrigger: boolean;
  #catches = false;
  #guards = NO_GUARDS;
  #loops = false;
  #opensCursors = false;

  constructor(source: PlpgsqlSource, root: RawNode, words: readonly Word[], parser: SqlParser) {
    this.#source = source;
    this.#root = root;
    this.#words = words;
    this.#parser = parser;
    this.#isTrigger = root['old_varno'] !== undefined;
    this.#datums = list(root, 'datums').map((datum) => open(datum)?.body);
  }

  read(): RoutineBody {
    this.#nameDatums();
    if (this.#isTrigger) this.#guards = guardsOf(this.#root, LOOPS, (kind, node) => this.#assignedBy(kind, node), TRIGGER_ROW);
    this.#visit({ PLpgSQL_function: this.#root });
    this.#expressions.push(...this.#recordDefaults());
    const statements: BodyStatement[] = [];
    if (this.#expressions.length > MOST_EXPRESSIONS) this.#opaque.add('is too long to be read');
    else for (const expression of this.#expressions) statements.push(...this.#statementsOf(expression));
    return {
      statements, arguments: [...this.#arguments], filled: [...this.#filled], catches: this.#catches, guarded: [...this.#guards.guarded], loops: this.#loops, opensCursors: this.#opensCursors, types: [...this.#types, ...typesOfColumns(this.#words)],
      searchPath: undefined, opaque: [...this.#opaque],
    };
  }

  /** Arguments come first, then FOUND, then what the body declares. A trigger is given NEW and OLD. */
  #nameDatums(): void {
    const names = this.#datums.map((datum) => text(datum, 'refname') ?? '');
    const found = names.indexOf('found');
    for (const name of this.#source.parameters) this.#arguments.add(name);
    for (const [number, name] of names.entries()) {
      if (name === '' || CLEAN.test(name)) continue;
      if (number < found) this.#arguments.add(name);
      this.#names.add(name);
    }
    for (const name of this.#arguments) this.#names.add(name);
    // What an error says may hold values.
    for (const name of ['sqlerrm', 'sqlstate']) if (this.#names.has(name)) this.#filled.add(name);
  }

  /** Names that the datums of these numbers go by; zeros are left out of the tree. */
  #namesOf(numbers: readonly unknown[]): string[] {
    return numbers.flatMap((number) => {
      const datum = this.#datums[typeof number === 'number' ? number : 0];
      if (datum?.['fieldname'] !== undefined) return this.#namesOf([datum['recparentno']]);
      if (Array.isArray(datum?.['fields'])) return this.#namesOf(datum['fields'].flatMap((field) => (isNode(field) ? [field['varno']] : [])));
      const name = text(datum, 'refname');
      return name === undefined ? [] : this.#isTrigger && (name === 'new' || name === 'old') ? [name, TRIGGER_ROW] : [name];
    });
  }

  #visit(value: unknown): void {
    const stack: unknown[] = [value];
    for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
      if (Array.isArray(next)) {
        stack.push(...next.filter((each) => each !== null));
        continue;
      }
      if (!isNode(next)) continue;
      for (const [key, inner] of Object.entries(next)) {
        if (key.startsWith('PLpgSQL_') && isNode(inner)) this.#node(key, inner);
        if (typeof inner === 'object' && inner !== null) stack.push(inner);
      }
    }
  }

  #node(kind: string, node: RawNode): void {
    if (!KINDS.has(kind)) this.#opaque.add(`holds something unknown (${kind})`);
    if (LOOPS.has(kind)) this.#loops = true;
    if (kind === 'PLpgSQL_exception_block') this.#catches = true;
    if (kind === 'PLpgSQL_stmt_open') this.#opensCursors = true;
    if (kind === 'PLpgSQL_type') this.#type(text(node, 'typname') ?? '');
    const dynamic = DYNAMIC[kind];
    if (dynamic !== undefined && node[dynamic] !== undefined) this.#dynamic(unwrap(node[dynamic], 'PLpgSQL_expr'));
    const assigns = this.#assignedBy(kind, node);
    for (const [field, inner] of Object.entries(node)) {
      for (const each of Array.isArray(inner) ? inner : [inner]) {
        const expression = unwrap(each, 'PLpgSQL_expr');
        if (expression === undefined || field === 'dynquery') continue;
        const mode = expression['parseMode'];
        this.#expressions.push({ sql: text(expression, 'query') ?? '', mode: typeof mode === 'number' ? mode : MODE_STATEMENT, assigns, decides: DECIDING.has(`${kind}.${field}`), decidesRow: this.#guards.deciders.has(expression) });
      }
    }
    if (FILLING.has(kind) || DYNAMIC[kind] !== undefined) for (const name of assigns) this.#filled.add(name);
  }

  #assignedBy(kind: string, node: RawNode): string[] {
    switch (kind) {
      case 'PLpgSQL_stmt_assign':
      case 'PLpgSQL_stmt_foreach_a':
        return this.#namesOf([node['varno']]);
      case 'PLpgSQL_diag_item':
        return this.#namesOf([node['target']]);
      case 'PLpgSQL_var':
        return [text(node, 'refname') ?? ''];
      case 'PLpgSQL_stmt_return': {
        // Of a trigger: the row, unless it is NEW or OLD as they are.
        if (!this.#isTrigger) return [];
        const returned = node['expr'] === undefined ? this.#namesOf([node['retvarno']]) : [];
        for (const name of returned) if (name !== 'new' && name !== 'old' && name !== TRIGGER_ROW) this.#filled.add(TRIGGER_ROW);
        return [TRIGGER_ROW];
      }
      default:
        return [...targetNames(node['target']), ...targetNames(node['var'])].flatMap((name) => (this.#isTrigger && (name === 'new' || name === 'old') ? [name, TRIGGER_ROW] : [name]))
          .concat(this.#namesOf([...rowNumbers(node['target']), ...rowNumbers(node['var'])]));
    }
  }

  /** EXECUTE of a constant is as good as the statement itself. */
  #dynamic(expression: RawNode | undefined): void {
    const outcome = this.#parser.parse(`SELECT ${text(expression, 'query') ?? ''}`);
    const select = outcome.kind === 'tree' && outcome.statements.length === 1 ? unwrap(outcome.statements[0]?.tree, 'SelectStmt') : undefined;
    const targets = list(select, 'targetList');
    const constant = targets.length === 1 ? stringConstant(unwrap(targets[0], 'ResTarget')?.['val']) : undefined;
    if (constant === undefined) this.#opaque.add('runs dynamic SQL');
    else this.#expressions.push({ sql: constant, mode: MODE_STATEMENT, assigns: [], decides: false, decidesRow: false });
  }

  #type(name: string): void {
    if (name === '' || name === 'UNKNOWN') return;
    const outcome = this.#parser.parse(`SELECT NULL::${name}`);
    if (outcome.kind !== 'tree' || outcome.statements.length !== 1) {
      // `crm.customers.id%TYPE`: see typesOfColumns.
      if (!/%(?:type|rowtype)(?:\[\])?$/i.test(name)) this.#opaque.add('declares a variable of a type that is not understood');
      return;
    }
    const { types } = statementFacts({ tree: outcome.statements[0]?.tree ?? {}, offset: 0, length: 0 });
    this.#types.push(...types.filter((type) => type.name !== 'record' && type.name !== 'refcursor'));
  }

  #statementsOf({ sql, mode, assigns, decides, decidesRow }: Expression): BodyStatement[] {
    const words = wordsOf(sql, this.#parser);
    const named = new Set(words?.flatMap((word) => (word.name === 'SCONST' ? [] : word.name === 'PARAM' ? ['$'] : [word.text])));
    const mentions = [...this.#names].filter((name) => words === undefined || named.has(name));
    const texts = mode === MODE_STATEMENT ? [sql] : mode === MODE_EXPRESSION ? [`SELECT ${sql}`] : assignment(sql, words ?? []);
    return texts.flatMap((each): BodyStatement[] => {
      const outcome = this.#parser.parse(each);
      if (outcome.kind !== 'tree') {
        this.#opaque.add('has a part that is not understood');
        return [];
      }
      return outcome.statements.map((statement) => ({ facts: statementFacts(statement), mentions, assigns, decides, decidesRow }));
    });
  }

  /** The library's tree leaves out what a record, and any variable of a type that is not built in, is declared to begin with. */
  #recordDefaults(): Expression[] {
    const declared = new Set(this.#datums.flatMap((datum) => (datum?.['dno'] === undefined || datum['fieldname'] !== undefined ? [] : text(datum, 'refname') ?? [])));
    const { source } = this.#source;
    const defaults: Expression[] = [];
    for (let i = 0; i < this.#words.length; i += 1) {
      if (!declared.has(this.#words[i]?.text ?? '') || !startsStatement(this.#words, i)) continue;
      if (['.', '[', ':=', '='].includes(this.#words[i + 1]?.text ?? '')) continue;
      let at = i + 1;
      while (at < this.#words.length && ![';', ':=', '=', 'default'].includes(this.#words[at]?.text ?? '')) at += 1;
      if (this.#words[at]?.text === ';') continue;
      let end = at;
      while (end < this.#words.length && this.#words[end]?.text !== ';') end += 1;
      defaults.push({ sql: source.slice(this.#words[at]?.end, this.#words[end]?.start), mode: MODE_EXPRESSION, assigns: [this.#words[i]?.text ?? ''], decides: false, decidesRow: false });
    }
    return defaults;
  }
}

function startsStatement(words: readonly Word[], at: number): boolean {
  const before = words[at - 1]?.text;
  return before === undefined || before === ';' || before === 'declare' || before === '>>';
}

/** `a.b[i].c := expression`: the expression, and the target for the calls in its subscripts. */
function assignment(sql: string, words: readonly Word[]): string[] {
  let depth = 0;
  for (const word of words) {
    if (word.text === '[' || word.text === '(') depth += 1;
    else if (word.text === ']' || word.text === ')') depth -= 1;
    else if (depth === 0 && (word.text === ':=' || word.text === '=')) {
      const target = sql.slice(0, word.start);
      return target.includes('[') ? [`SELECT ${target}`, `SELECT ${sql.slice(word.end)}`] : [`SELECT ${sql.slice(word.end)}`];
    }
  }
  return ['not understood'];
}

/** INTO and FOR name a single variable, or a row made up of several by their numbers. */
function targetNames(target: unknown): string[] {
  const node = open(target);
  return node === undefined || node.kind === 'PLpgSQL_row' ? [] : [text(node.body, 'refname') ?? ''];
}

function rowNumbers(target: unknown): readonly unknown[] {
  const row = unwrap(target, 'PLpgSQL_row');
  return list(row, 'fields').flatMap((field) => (isNode(field) ? [field['varno'] ?? 0] : []));
}

function opaqueBody(reason: string): RoutineBody {
  return { ...EMPTY_BODY, opaque: [reason] };
}
