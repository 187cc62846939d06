/** What the rest of this folder asks of a parser. One implementation exists (`postgres-parser.ts`); the seam keeps it replaceable and lets tests make it fail. */

/** A parse tree node as the parser's JSON gives it: scalars, nodes and lists of nodes. */
export type RawNode = Readonly<Record<string, unknown>>;

export interface ParsedStatement {
  /** The statement's node in its wrapper: `{SelectStmt: {...}}`. */
  readonly tree: RawNode;
  /** Bytes in the UTF-8 text, without the separating semicolon. */
  readonly offset: number;
  readonly length: number;
}

export type ParseOutcome =
  | { readonly kind: 'tree'; readonly statements: readonly ParsedStatement[] }
  /** The grammar rejects the text. `position` counts characters from 1, as an ErrorResponse does. The message may quote the text. */
  | { readonly kind: 'syntax_error'; readonly message: string; readonly position: number | undefined }
  /** The parser itself failed; it must not be used again, whatever it would answer. */
  | { readonly kind: 'trap'; readonly reason: string };

/** A token of the text, in bytes. `name` is the grammar's name of it: `SCONST`, `IDENT`, `SQL_COMMENT`. */
export interface Token {
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

export interface SqlParser {
  /** False after a trap: make another one. */
  readonly usable: boolean;
  parse(text: string): ParseOutcome;
  /** Only for text that `parse` accepted: the library reports lexer errors here as if they were results. Undefined where it fails. */
  scan(text: string): readonly Token[] | undefined;
  /** PL/pgSQL's own grammar over a CREATE FUNCTION or DO: the tree as JSON; undefined if it rejects the body or fails. */
  parsePlpgsql(text: string): unknown;
  fingerprint(text: string): string | undefined;
}

export type SqlParserFactory = () => Promise<SqlParser>;
