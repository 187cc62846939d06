import type { RawNode, SqlParser } from './dialect.ts';
import type { BodyStatement, RoutineBody, StatementFacts, TypeUse } from './facts.ts';
import { isExactType, withoutPinsBy } from './exact-types.ts';
import { EMPTY_BODY, plpgsqlBody } from './plpgsql-body.ts';
import { readSetOptions } from './routine-settings.ts';
import { statementFacts } from './statement-facts.ts';
import { child, isNode, list, open, qualified, text, unwrap } from './tree.ts';
import { mentionedNames } from './words.ts';

/** Bodies of functions, procedures and DO blocks: text to what they do. Names stay as written; the catalog resolves them. */

const ANY_ARGUMENT = '$';

/** A longer definition is not read. */
export const MAX_ROUTINE_BYTES = 256 * 1024;

/** The body of a routine as pg_get_functiondef prints it: a CREATE FUNCTION or CREATE PROCEDURE. */
export function routineBody(definition: string, parser: SqlParser): RoutineBody {
  if (Buffer.byteLength(definition) > MAX_ROUTINE_BYTES) return unread('is too large to be read');
  const outcome = parser.parse(definition);
  const [statement, ...more] = outcome.kind === 'tree' ? outcome.statements : [];
  const create = unwrap(statement?.tree, 'CreateFunctionStmt');
  return create === undefined || more.length > 0 ? unread('has a definition that is not understood') : createdBody(create, definition, parser);
}

/** The same of a CREATE FUNCTION that is at hand as a tree, too. */
export function createdBody(create: RawNode, definition: string, parser: SqlParser): RoutineBody {
  if (Buffer.byteLength(definition) > MAX_ROUTINE_BYTES) return unread('is too large to be read');
  const options = optionsOf(create);
  const set = readSetOptions(list(create, 'options'));
  const language = optionText(options.get('language')) ?? 'sql';
  const body = bodyIn(language, create, definition, options, parser);
  const parameters = list(create, 'parameters').map((each) => unwrap(each, 'FunctionParameter'));
  const defaults = parameters.flatMap((parameter) => (parameter?.['defexpr'] === undefined ? [] : [plain(selectOf(parameter['defexpr']))]));
  const takes = parameters.map((parameter) => child(parameter, 'argType')).flatMap(typeName);
  const types = [...takes, ...typeName(child(create, 'returnType'))];
  const exact = language === 'sql' && takes.length === parameters.length && takes.every(isExactType);
  return {
    ...body,
    // In PL/pgSQL $1 may be what EXECUTE ... USING gives, too.
    statements: [...defaults, ...(exact ? body.statements : body.statements.map((each) => ({ ...each, facts: withoutPinsBy('all', each.facts) })))],
    types: [...body.types, ...types],
    searchPath: set.searchPath,
    opaque: [...body.opaque, ...set.opaque],
  };
}

/** The block of a DO statement. */
export function doBody(tree: RawNode, parser: SqlParser): RoutineBody {
  const options = new Map(list(unwrap(tree, 'DoStmt'), 'args').map((arg) => {
    const option = unwrap(arg, 'DefElem');
    return [text(option, 'defname') ?? '', option?.['arg']] as const;
  }));
  if ((optionText(options.get('language')) ?? 'plpgsql') !== 'plpgsql') return unread('is written in a language that is not read');
  const source = optionText(options.get('as'));
  if (source === undefined) return unread('has no body');
  const body = plpgsqlBody({ definition: `DO ${dollarQuoted(source)}`, source, parameters: [] }, parser);
  return { ...body, statements: body.statements.map((each) => ({ ...each, facts: withoutPinsBy('all', each.facts) })) };
}

export function unread(reason: string): RoutineBody {
  return { ...EMPTY_BODY, opaque: [reason] };
}

function bodyIn(language: string, create: RawNode, definition: string, options: ReadonlyMap<string, unknown>, parser: SqlParser): RoutineBody {
  const names = list(create, 'parameters').flatMap((each) => text(unwrap(each, 'FunctionParameter'), 'name') ?? []);
  const atomic = create['sql_body'];
  if (atomic !== undefined) return language === 'sql' ? fromStatements(atomicStatements(atomic), undefined, names, parser) : unread('has a body that is not understood');
  const source = optionText(options.get('as'));
  if (source === undefined) return unread('has no body that is text');
  switch (language) {
    case 'plpgsql':
      return plpgsqlBody({ definition, source, parameters: names }, parser);
    case 'sql': {
      const outcome = parser.parse(source);
      if (outcome.kind !== 'tree') return unread('has a body that is not understood');
      return fromStatements(outcome.statements.map((each) => each.tree), source, names, parser);
    }
    default:
      return unread(`is written in ${language}, which is not read`);
  }
}

/** Statements of an SQL body know nothing of each other but arguments: there are no variables. */
function fromStatements(trees: readonly RawNode[], source: string | undefined, names: readonly string[], parser: SqlParser): RoutineBody {
  const mentioned = source === undefined ? undefined : mentionedNames(source, parser);
  // A body that is kept parsed prints its arguments by name or number; which, is not worth telling.
  const usesArguments = mentioned === undefined || mentioned.parameters || names.some((name) => mentioned.words.has(name));
  const mentions = usesArguments ? [ANY_ARGUMENT] : [];
  return { ...EMPTY_BODY, statements: trees.map((tree) => ({ facts: statementFacts({ tree, offset: 0, length: 0 }), mentions, assigns: [], decides: false })), arguments: [ANY_ARGUMENT] };
}

/** BEGIN ATOMIC ... END holds its statements in a list within a list; RETURN expression is a node of its own. */
function atomicStatements(body: unknown): RawNode[] {
  const node = open(body);
  if (node === undefined) return [];
  if (node.kind === 'List') return list(node.body, 'items').flatMap(atomicStatements);
  if (node.kind === 'ReturnStmt') return [selectOf(node.body['returnval'])];
  return isNode(body) ? [body] : [];
}

function selectOf(expression: unknown): RawNode {
  return { SelectStmt: { targetList: [{ ResTarget: { val: expression } }] } };
}

function plain(tree: RawNode): BodyStatement {
  const facts: StatementFacts = statementFacts({ tree, offset: 0, length: 0 });
  return { facts, mentions: [], assigns: [], decides: false };
}

function typeName(node: RawNode | undefined): TypeUse[] {
  const name = qualified(list(node, 'names'));
  return name === undefined ? [] : [name];
}

function optionsOf(create: RawNode): ReadonlyMap<string, unknown> {
  return new Map(list(create, 'options').map((each) => {
    const option = unwrap(each, 'DefElem');
    return [text(option, 'defname') ?? '', option?.['arg']] as const;
  }));
}

/** `AS 'source'` comes as a list of one string, `LANGUAGE x` and DO's source as a string; C functions have two. */
function optionText(value: unknown): string | undefined {
  const items = list(unwrap(value, 'List'), 'items');
  const string = unwrap(items.length === 1 ? items[0] : value, 'String');
  return string === undefined ? undefined : text(string, 'sval') ?? '';
}

function dollarQuoted(source: string): string {
  let tag = '$body$';
  for (let n = 0; source.includes(tag); n += 1) tag = `$body${n}$`;
  return `${tag}${source}${tag}`;
}
