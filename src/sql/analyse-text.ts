import type { ParsedStatement, SqlParser } from './dialect.ts';
import type { Analysis, StatementFacts } from './facts.ts';
import { createdBody, doBody } from './routine-body.ts';
import { statementFacts } from './statement-facts.ts';
import { unwrap } from './tree.ts';

/** A script of more statements in one Query message is refused rather than handed over piece by piece. */
const MAX_STATEMENTS = 10_000;

/** Text to facts, on whichever thread. `onTree` is shown what the facts are made of. */
export function analyseText(text: string, parser: SqlParser, onTree: (statements: readonly ParsedStatement[]) => void = () => undefined): Analysis {
  const refused = refusedText(text);
  if (refused !== undefined) return { kind: 'opaque', reason: refused };
  const outcome = parser.parse(text);
  switch (outcome.kind) {
    case 'trap': return { kind: 'opaque', reason: outcome.reason };
    case 'syntax_error': return { kind: 'syntax_error', message: outcome.message, position: outcome.position };
    case 'tree':
      onTree(outcome.statements);
      return outcome.statements.length > MAX_STATEMENTS
        ? { kind: 'opaque', reason: `the text holds more than ${MAX_STATEMENTS} statements` }
        : { kind: 'statements', statements: outcome.statements.map((statement) => factsOf(statement, text, parser)) };
  }
}

function factsOf(statement: ParsedStatement, text: string, parser: SqlParser): StatementFacts {
  const facts = statementFacts(statement);
  if (facts.kind === 'do') return { ...facts, body: doBody(statement.tree, parser) };
  const create = unwrap(statement.tree, 'CreateFunctionStmt');
  if (create === undefined) return facts;
  // The last statement of a text has no length.
  const { offset, length } = statement;
  const bytes = Buffer.from(text);
  return { ...facts, body: createdBody(create, bytes.toString('utf8', offset, length === 0 ? bytes.length : offset + length), parser) };
}

/** C strings end at NUL, so the parser would not see the rest; a lone surrogate has no UTF-8 form, so it would see other names than the server. */
function refusedText(text: string): string | undefined {
  if (text.includes('\0')) return 'the text holds a NUL character';
  if (/\p{Surrogate}/u.test(text)) return 'the text holds a lone surrogate';
  return undefined;
}
