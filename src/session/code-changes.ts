/**
 * Functions are not locked by who calls them: one may be replaced while a statement waits, be run, and be put back before the first row comes, so that no catalog
 * shows what ran. What is remembered here is that it may have been so.
 */

import type { StatementFacts } from '../sql/facts.ts';

/** A function of this name was made or replaced; undefined: of whatever name. */
export interface CodeChange {
  readonly functionName: string | undefined;
}

/** By the name of their node: what changes which function a name, an operator or a cast calls. Relations, views, triggers and rules are locked by whoever uses them, and a drop leaves what was there before. */
const CHANGES_CODE: ReadonlySet<string> = new Set([
  'CreateFunctionStmt', 'AlterFunctionStmt', 'DefineStmt', 'CreateCastStmt', 'CreateOpClassStmt', 'AlterOpFamilyStmt', 'AlterOperatorStmt', 'CreateDomainStmt', 'AlterDomainStmt', 'AlterTypeStmt', 'CreateRangeStmt',
  'CreateExtensionStmt', 'AlterExtensionStmt', 'AlterExtensionContentsStmt', 'CreateTransformStmt', 'CreatePLangStmt',
]);
/** Of relations as well as of functions. */
const MOVES: ReadonlySet<string> = new Set(['RenameStmt', 'AlterObjectSchemaStmt', 'AlterOwnerStmt']);

export function codeChange({ kind, node, relations, definesFunction }: StatementFacts): CodeChange | undefined {
  // Of whatever was prepared, by whomever.
  if (kind === 'commit_prepared') return { functionName: undefined };
  if (!CHANGES_CODE.has(node) && !(MOVES.has(node) && relations.length === 0)) return undefined;
  return { functionName: node === 'CreateFunctionStmt' ? definesFunction : undefined };
}

/** More changes than this behind a statement, and it is not asked any more what they were of. */
const REMEMBERED = 256;

/** Those of one database that went through this process. */
export class CodeChanges {
  #count = 0;
  readonly #latest: CodeChange[] = [];

  /** Moves with each change. */
  get count(): number {
    return this.#count;
  }

  note(change: CodeChange): void {
    this.#count++;
    this.#latest.push(change);
    if (this.#latest.length > REMEMBERED) this.#latest.shift();
  }

  /** Whether a statement that was judged at `count` may have called what was changed since. `pure`: it calls nothing but the server's own functions, by its names. */
  mayConcern(facts: StatementFacts, pure: boolean, count: number): boolean {
    const since = this.#count - count;
    if (since === 0) return false;
    const { functions, operators, attributes, types, named } = facts;
    // What a cursor or a prepared statement calls is not in this text.
    if (named !== undefined) return true;
    if (functions.length + operators.length + attributes.length + types.length + facts.relations.length === 0) return false;
    if (!pure || since < 0 || since > this.#latest.length) return true;
    return this.#latest.slice(-since).some(({ functionName }) => functionName === undefined || attributes.includes(functionName) || functions.some(({ name }) => name === functionName));
  }
}
