import { findCte, multiplicity, MAX_TIMES, scopesOf } from './cte-scope.ts';
import type { Cte, CteScope } from './cte-scope.ts';
import type { RawNode } from './dialect.ts';
import type { ColumnOfUse, FunctionUse, KeyLink, OperatorUse, Pin, RelationUse, SettingChange, TextCategory, TypeUse } from './facts.ts';
import { limitedRows } from './limited-rows.ts';
import { LinkFinder, nameItem, newLevel } from './key-links.ts';
import type { QueryLevel } from './key-links.ts';
import { operatorsOf } from './operators.ts';
import { objectRelation, relationPlace } from './relation-places.ts';
import { DYNAMIC_SETTING, setConfigCall, settingChanges, transactionModes } from './settings.ts';
import { statementTraits } from './statement-kinds.ts';
import { locksNamed, takesNames, Traces, type FoundTraces } from './traces.ts';
import { child, list, qualified, rangeVarName, text, unwrap } from './tree.ts';
import type { QualifiedName } from './tree.ts';
import { walk } from './walk.ts';
import type { Descent, Place } from './walk.ts';

/** Beyond this a statement is refused as opaque: the catalog resolves every one of them on the main thread. */
const MAX_RELATION_USES = 20_000;

/** Statements and clauses whose target list assigns. */
const ASSIGNING: ReadonlySet<string> = new Set(['UpdateStmt', 'OnConflictClause', 'MergeWhenClause']);

/** What surrounds a node. */
interface Context {
  readonly scope: CteScope | undefined;
  /** The CTE in whose body the node stands. */
  readonly owner: Cte | undefined;
  readonly level: QueryLevel | undefined;
  /** Inside CREATE or ALTER DOMAIN, whose checks and defaults run wherever the domain is used. */
  readonly domain: boolean;
}

interface PendingUse {
  readonly schema: string | undefined;
  readonly name: string;
  readonly mode: RelationUse['mode'];
  readonly owner: Cte | undefined;
}

interface PendingFunction {
  readonly schema: string | undefined;
  readonly name: string;
  readonly window: boolean;
  readonly calls: Map<Cte | undefined, number>;
}

interface ColumnReference {
  readonly reference: unknown;
  readonly level: QueryLevel | undefined;
}

/** Aggregates whose result is made of many rows' values: a number whose digits are several people's, if what is added up has been shaped for it. */
const SUMMING = /^(sum|avg|bit_(and|or|xor)|stddev(_pop|_samp)?|variance|var_(pop|samp)|corr|covar_(pop|samp)|regr_.*)$/;

export interface Collected extends FoundTraces {
  readonly limited: { readonly rows: number; readonly uses: readonly number[] } | undefined;
  readonly relations: readonly RelationUse[];
  readonly links: readonly KeyLink[];
  readonly pins: readonly Pin[];
  readonly groupedBy: readonly ColumnOfUse[];
  readonly summed: readonly (ColumnOfUse | undefined)[];
  readonly functions: readonly FunctionUse[];
  readonly attributes: readonly string[];
  readonly operators: readonly OperatorUse[];
  readonly types: readonly TypeUse[];
  readonly packs: boolean;
  readonly mayRepeat: boolean;
  readonly grouped: boolean;
  readonly modifies: boolean;
  readonly updatesOnConflict: boolean;
  readonly derives: boolean;
  readonly changesCatalog: boolean;
  readonly assigns: readonly string[];
  readonly defines: readonly QualifiedName[];
  readonly attaches: readonly QualifiedName[];
  readonly definesType: QualifiedName | undefined;
  readonly definesFunction: string | undefined;
  readonly settings: readonly SettingChange[];
  readonly rightsOnSchemas: boolean;
  readonly opaque: readonly string[];
  readonly categories: readonly TextCategory[];
}

/** Walks one statement and gathers what it names. */
export function collect(tree: RawNode): Collected {
  return new FactCollector().run(tree);
}

class FactCollector {
  readonly #uses: PendingUse[] = [];
  readonly #ctes: Cte[] = [];
  readonly #cteContexts = new Map<RawNode, Context>();
  readonly #links = new LinkFinder();
  readonly #summed: ColumnReference[] = [];
  readonly #groupKeys: ColumnReference[] = [];
  readonly #functions = new Map<string, PendingFunction>();
  readonly #attributes = new Set<string>();
  readonly #operators = new Map<string, OperatorUse>();
  readonly #types = new Map<string, TypeUse>();
  readonly #assigns = new Set<string>();
  readonly #defines: QualifiedName[] = [];
  readonly #attaches: QualifiedName[] = [];
  #definesType: QualifiedName | undefined;
  #definesFunction: string | undefined;
  readonly #settings: SettingChange[] = [];
  #rightsOnSchemas = false;
  readonly #traces = new Traces();
  readonly #useOf = new Map<RawNode, number>();
  readonly #opaque: string[] = [];
  readonly #categories = new Set<TextCategory>();
  #packs = false;
  #mayRepeat = false;
  #grouped = false;
  #modifies = false;
  #updatesOnConflict = false;
  #derives = false;
  #changesCatalog = false;

  run(tree: RawNode): Collected {
    const top: Context = { scope: undefined, owner: undefined, level: undefined, domain: false };
    const problem = walk<Context>(tree, top, (kind, node, context, place) => this.#enter(kind, node, context, place));
    if (problem !== undefined) this.#opaque.push(problem);
    if (this.#uses.length >= MAX_RELATION_USES) this.#opaque.push('the statement names too many relations');
    if (this.#opaque.length > 0) this.#categories.add('opaque');

    const { timesOf, recursive } = multiplicity();
    for (const cte of this.#ctes) timesOf(cte);
    const relations = this.#uses.map(({ schema, name, mode, owner }) => ({ schema, name, mode, times: timesOf(owner) }));
    const functions = [...this.#functions.values()].map(({ schema, name, window, calls }) => {
      let times = 0;
      for (const [owner, count] of calls) times = Math.min(MAX_TIMES, times + count * timesOf(owner));
      return { schema, name, window, times };
    });
    return {
      relations,
      links: this.#finishedLinks(),
      limited: this.#limited(tree),
      ...this.#traces.found(() => this.#uses.flatMap(({ mode }, index) => (mode === 'read' ? [index] : []))),
      ...this.#finishedColumns(functions.some(({ window }) => window)),
      functions,
      attributes: [...this.#attributes],
      operators: [...this.#operators.values()],
      types: [...this.#types.values()],
      packs: this.#packs || recursive(),
      mayRepeat: this.#mayRepeat || recursive(),
      grouped: this.#grouped,
      modifies: this.#modifies,
      updatesOnConflict: this.#updatesOnConflict,
      derives: this.#derives,
      changesCatalog: this.#changesCatalog,
      assigns: [...this.#assigns],
      defines: this.#defines,
      attaches: this.#attaches,
      definesType: this.#definesType,
      definesFunction: this.#definesFunction,
      settings: this.#settings,
      rightsOnSchemas: this.#rightsOnSchemas,
      opaque: this.#opaque,
      categories: [...this.#categories],
    };
  }

  #limited(tree: RawNode): Collected['limited'] {
    const found = limitedRows(tree);
    return found === undefined ? undefined : { rows: found.rows, uses: found.relations.flatMap((node) => this.#useOf.get(node) ?? []) };
  }

  /** Two copies of a CTE's body hold rows of different people, so only references that are copied together can be linked. */
  #finishedLinks(): KeyLink[] {
    if (this.#categories.has('code') || this.#opaque.length > 0) return [];
    return this.#links.links().filter(({ left, right }) => this.#uses[left]?.owner === this.#uses[right]?.owner);
  }

  #finishedColumns(windows: boolean): Pick<Collected, 'pins' | 'groupedBy' | 'summed'> {
    const columns = (references: readonly ColumnReference[]): (ColumnOfUse | undefined)[] => references.map(({ reference, level }) => this.#links.columnOf(reference, level));
    const summed = columns(this.#summed);
    // `row.sum` calls it on a whole row.
    if ([...this.#attributes].some((name) => SUMMING.test(name))) summed.push(undefined);
    if (this.#categories.has('code') || this.#opaque.length > 0) return { pins: [], groupedBy: [], summed };
    return { pins: this.#links.pins(), groupedBy: windows ? [] : columns(this.#groupKeys).flatMap((column) => column ?? []), summed };
  }

  #enter(kind: string, node: RawNode, context: Context, place: Place): Descent<Context> | undefined {
    const traits = statementTraits(kind, node);
    if (traits !== undefined) {
      for (const category of traits.categories) this.#categories.add(category);
      if (traits.changesCatalog) this.#changesCatalog = true;
    }
    this.#traces.see(kind, node);
    for (const operator of operatorsOf(kind, node)) this.#operators.set(`${operator.schema ?? ''}\0${operator.name}`, operator);

    switch (kind) {
      case 'SelectStmt':
      case 'InsertStmt':
      case 'UpdateStmt':
      case 'DeleteStmt':
      case 'MergeStmt':
        return this.#query(kind, node, context);
      case 'CommonTableExpr': {
        const inner = this.#cteContexts.get(node);
        return inner === undefined ? undefined : { rest: inner };
      }
      case 'RangeVar':
        this.#relation(node, context, place);
        return undefined;
      case 'RangeSubselect':
      case 'RangeFunction':
      case 'RangeTableFunc':
      case 'JsonTable':
        if (kind === 'RangeTableFunc' || kind === 'JsonTable') this.#mayRepeat = true;
        nameFromItem(kind, node, context.level);
        return undefined;
      case 'JoinExpr':
        for (const alias of [child(node, 'alias'), child(node, 'join_using_alias')]) {
          const name = text(alias, 'aliasname');
          if (name !== undefined) nameItem(context.level, name);
        }
        if (context.level !== undefined) this.#links.addJoin(context.level, node);
        return undefined;
      case 'ReturningOption':
        nameItem(context.level, text(node, 'value') ?? '');
        return undefined;
      case 'OnConflictClause':
        if (text(node, 'action') !== 'ONCONFLICT_NOTHING') this.#updatesOnConflict = true;
        return undefined;
      case 'ColumnRef':
        if (list(node, 'fields').length > 1) this.#addAttribute(list(node, 'fields').at(-1));
        return undefined;
      case 'ResTarget':
        if (place.field === 'targetList' && ASSIGNING.has(place.kind)) this.#assigns.add(text(node, 'name') ?? '');
        return undefined;
      case 'A_Indirection':
        for (const step of list(node, 'indirection')) {
          this.#addAttribute(step);
          if (unwrap(step, 'A_Star') !== undefined) this.#mayRepeat = true;
        }
        return undefined;
      case 'CollateClause':
        this.#mayRepeat = true;
        return undefined;
      case 'FuncCall':
        this.#call(node, context);
        return undefined;
      case 'TypeName':
        this.#addName(this.#types, qualified(list(node, 'names')));
        return undefined;
      case 'SubLink':
        if (text(node, 'subLinkType') === 'ARRAY_SUBLINK') this.#packs = true;
        return undefined;
      case 'JsonArrayQueryConstructor':
        this.#packs = true;
        return undefined;
      case 'JsonArrayAgg':
      case 'JsonObjectAgg':
        this.#packs = true;
        this.#grouped = true;
        return undefined;
      case 'CTESearchClause':
      case 'CTECycleClause':
        this.#packs = true;
        return undefined;
      case 'GroupingFunc':
      case 'GroupingSet':
        this.#grouped = true;
        this.#mayRepeat = true;
        return undefined;
      case 'VariableSetStmt':
        this.#settings.push(...settingChanges(node));
        return undefined;
      case 'TransactionStmt':
        this.#settings.push(...transactionModes(list(node, 'options')));
        return undefined;
      default:
        return this.#utility(kind, node, context);
    }
  }

  /** SELECT, INSERT, UPDATE, DELETE, MERGE: statements that open a query level and may have WITH. */
  #query(kind: string, node: RawNode, context: Context): Descent<Context> {
    const withClause = child(node, 'withClause');
    const scope = withClause === undefined ? context.scope : this.#with(withClause, context);
    const locking = list(node, 'lockingClause');
    if (locking.length > 0) this.#modifies = true;
    if (node['larg'] !== undefined || list(node, 'valuesLists').length > 1 || kind === 'MergeStmt') this.#mayRepeat = true;
    // A UNION has no FROM of its own, and a long one nests as deep as it is long.
    if (node['larg'] !== undefined) return { rest: { ...context, scope } };
    const level = newLevel(context.level, kind !== 'SelectStmt');
    const inner: Context = { ...context, scope, level };
    if (locking.length > 0) this.#traces.lock(level, locking);

    if (kind !== 'SelectStmt') this.#modifies = true;
    if (kind === 'MergeStmt') this.#links.addMerge(level, node);
    if (node['whereClause'] !== undefined) this.#links.addWhere(level, node['whereClause']);
    if (kind === 'SelectStmt') {
      if (node['intoClause'] !== undefined) {
        this.#derives = true;
        this.#changesCatalog = true;
      }
      if (context.level === undefined && context.owner === undefined) for (const reference of list(node, 'groupClause')) this.#groupKeys.push({ reference, level });
      if (list(node, 'groupClause').length > 0 || node['havingClause'] !== undefined) this.#grouped = true;
    }
    // An INSERT's query does not see the target's columns.
    return kind === 'InsertStmt' ? { rest: inner, fields: { selectStmt: { ...inner, level: context.level } } } : { rest: inner };
  }

  #addAttribute(step: unknown): void {
    const name = text(unwrap(step, 'String'), 'sval');
    if (name !== undefined) this.#attributes.add(name);
  }

  #with(withClause: RawNode, context: Context): CteScope {
    const nodes = list(withClause, 'ctes').map((cte) => unwrap(cte, 'CommonTableExpr') ?? {});
    const ctes = nodes.map((node): Cte => ({ name: text(node, 'ctename') ?? '', parent: context.owner, references: [] }));
    this.#ctes.push(...ctes);
    const { bodies, statement } = scopesOf(ctes, withClause['recursive'] === true, context.scope);
    for (const [index, node] of nodes.entries()) {
      this.#cteContexts.set(node, { ...context, scope: bodies[index], owner: ctes[index] });
    }
    return statement;
  }

  #relation(node: RawNode, context: Context, place: Place): void {
    const { schema, name } = rangeVarName(node);
    const special = relationPlace(place.kind, place.field);
    if (special === 'alias') return;
    if (special === 'define' || special === 'make') {
      this.#use(schema, name, 'define', context);
      if (special === 'make') this.#defines.push({ schema, name });
      return;
    }
    const isCopyFrom = place.kind === 'CopyStmt' && this.#copiesIn.has(node);
    if (special === 'write' || special === 'target' || isCopyFrom) {
      this.#use(schema, name, 'write', context);
      // The view pg_settings has an ON UPDATE rule that calls set_config() with whatever is assigned.
      if (name === 'pg_settings') this.#settings.push(DYNAMIC_SETTING);
    }
    if (special === 'write' || isCopyFrom) {
      nameItem(context.level, text(child(node, 'alias'), 'aliasname') ?? name);
      return;
    }
    this.#readRelation(node, schema, name, context, special === undefined);
  }

  #readRelation(node: RawNode, schema: string | undefined, name: string, context: Context, mayBeCte: boolean): void {
    const alias = child(node, 'alias');
    const visibleName = text(alias, 'aliasname') ?? name;
    const cte = mayBeCte && schema === undefined ? findCte(context.scope, name) : undefined;
    if (cte !== undefined) {
      cte.references.push(context.owner);
      nameItem(context.level, visibleName);
      return;
    }
    const index = this.#use(schema, name, 'read', context);
    this.#useOf.set(node, index);
    // `c(a, b)` renames columns by position: `c.id` may then be any column of the table.
    const plain = list(alias, 'colnames').length === 0;
    if (plain) this.#links.plainRelation(node, index);
    nameItem(context.level, visibleName, plain ? index : undefined, alias === undefined ? schema : undefined);
  }

  #use(schema: string | undefined, name: string, mode: RelationUse['mode'], context: Context): number {
    if (this.#uses.length < MAX_RELATION_USES) this.#uses.push({ schema, name, mode, owner: context.owner });
    return this.#uses.length - 1;
  }

  #call(node: RawNode, context: Context): void {
    const name = qualified(list(node, 'funcname'));
    if (name === undefined) {
      this.#opaque.push('a function call without a plain name');
      return;
    }
    const window = node['over'] !== undefined;
    const key = `${name.schema ?? ''}\0${name.name}\0${window ? 'w' : ''}`;
    let entry = this.#functions.get(key);
    if (entry === undefined) {
      entry = { ...name, window, calls: new Map() };
      this.#functions.set(key, entry);
    }
    entry.calls.set(context.owner, (entry.calls.get(context.owner) ?? 0) + 1);
    if (['agg_filter', 'agg_distinct', 'agg_within_group', 'agg_star', 'agg_order'].some((field) => node[field] !== undefined)) this.#grouped = true;
    if (SUMMING.test(name.name)) for (const reference of list(node, 'args')) this.#summed.push({ reference, level: context.level });
    if (context.domain) this.#categories.add('code');
    if (takesNames(name.name)) this.#traces.draw(node);
    if (locksNamed(name.name)) this.#traces.lockByName(node);
    const setting = setConfigCall(node);
    if (setting !== undefined) this.#settings.push(setting);
  }

  readonly #copiesIn = new Set<RawNode>();

  #utility(kind: string, node: RawNode, context: Context): Descent<Context> | undefined {
    switch (kind) {
      case 'CopyStmt': {
        const relation = child(node, 'relation');
        if (node['is_from'] !== true || relation === undefined) return undefined;
        this.#modifies = true;
        this.#mayRepeat = true;
        this.#copiesIn.add(relation);
        return undefined;
      }
      case 'TruncateStmt':
        this.#modifies = true;
        return undefined;
      case 'CreateTableAsStmt':
      case 'ViewStmt':
      case 'RefreshMatViewStmt':
      case 'RuleStmt':
        this.#derives = true;
        return undefined;
      // A procedure is called like a function; the body of DO is read apart (routine-body.ts).
      case 'DoStmt':
      case 'CallStmt':
        return undefined;
      case 'CreateDomainStmt':
        this.#definesType = qualified(list(node, 'domainname'));
        return { rest: { ...context, domain: true } };
      case 'AlterDomainStmt':
        return { rest: { ...context, domain: true } };
      case 'CommentStmt':
      case 'SecLabelStmt':
        this.#nameObject(objectRelation(text(node, 'objtype'), node['object']), context);
        return undefined;
      case 'GrantStmt':
        this.#rightsOnSchemas = text(node, 'objtype') === 'OBJECT_SCHEMA';
        return undefined;
      case 'DropStmt':
        for (const object of list(node, 'objects')) this.#nameObject(objectRelation(text(node, 'removeType'), object), context);
        return undefined;
      case 'RenameStmt':
        // Only if the relation itself is renamed, not a column, constraint or trigger of it.
        if (node['subname'] === undefined) this.#defineMoved(node, rangeVarName(child(node, 'relation') ?? {}).schema, text(node, 'newname'));
        return undefined;
      case 'AlterObjectSchemaStmt':
        this.#defineMoved(node, text(node, 'newschema'), rangeVarName(child(node, 'relation') ?? {}).name);
        return undefined;
      case 'CreateTrigStmt':
      case 'CreateEventTrigStmt':
        this.#attach(list(node, 'funcname'));
        return undefined;
      case 'ObjectWithArgs':
        this.#attach(list(node, 'objname'));
        return undefined;
      case 'DefineStmt':
        for (const element of list(node, 'definition')) this.#attach(list(unwrap(unwrap(element, 'DefElem')?.['arg'], 'TypeName'), 'names'));
        return undefined;
      case 'CreateFunctionStmt':
        this.#definesFunction = qualified(list(node, 'funcname'))?.name;
        return undefined;
      case 'CreateEnumStmt':
        this.#definesType = qualified(list(node, 'typeName'));
        return undefined;
      case 'CompositeTypeStmt':
        this.#definesType = rangeVarName(child(node, 'typevar') ?? {});
        return undefined;
      case 'PLAssignStmt':
      case 'ReturnStmt':
        return undefined;
      default:
        if (kind.endsWith('Stmt') && statementTraits(kind, node) === undefined && kind !== 'TransactionStmt') this.#opaque.push(`unknown statement ${kind}`);
        return undefined;
    }
  }

  #attach(name: readonly unknown[]): void {
    const found = qualified(name);
    if (found !== undefined) this.#attaches.push(found);
  }

  /** The name that a relation has afterwards. */
  #defineMoved(node: RawNode, schema: string | undefined, name: string | undefined): void {
    if (child(node, 'relation') !== undefined && name !== undefined) this.#defines.push({ schema, name });
  }

  #nameObject(name: QualifiedName | undefined, context: Context): void {
    if (name !== undefined) this.#use(name.schema, name.name, 'define', context);
  }

  #addName(names: Map<string, TypeUse>, name: QualifiedName | undefined): void {
    if (name !== undefined) names.set(`${name.schema ?? ''}\0${name.name}`, name);
  }
}

/** FROM items that are not relations take a name too, and hide outer ones. */
function nameFromItem(kind: string, node: RawNode, level: QueryLevel | undefined): void {
  const alias = text(child(node, 'alias'), 'aliasname');
  if (alias !== undefined) {
    nameItem(level, alias);
    return;
  }
  if (kind === 'RangeSubselect') {
    nameItem(level, 'unnamed_subquery');
    return;
  }
  // A function without an alias is named after itself; what other expressions in FROM are called is not worth a table.
  const [first, ...more] = list(node, 'functions');
  const call = unwrap(list(unwrap(first, 'List'), 'items')[0], 'FuncCall');
  const name = more.length === 0 ? qualified(list(call, 'funcname'))?.name : undefined;
  if (name !== undefined) nameItem(level, name);
  else if (level !== undefined) level.unnamed = true;
}
