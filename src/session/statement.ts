import type { Reach } from '../catalog/reach-types.ts';
import type { StatementFacts } from '../sql/facts.ts';
import type { OwnQuestion } from './own-question.ts';

/** One statement that the server may run, at once or under a name. */
export type Statement =
  | {
      readonly kind: 'known';
      readonly facts: StatementFacts;
      /** The text that it came in, for the audit record; `facts.offset` and `length` say where it lies in it. */
      readonly text: string;
      /** Of a cursor: what its query reached when it was declared. Its rows are of then, whatever its names mean by now. */
      readonly declared?: Reach;
      /** Types of users that Parse gave its parameters, by oid: the text need not name them. */
      readonly parameterTypes?: readonly number[];
    }
  | {
      /** The analyser cannot say what it does. */
      readonly kind: 'opaque';
      readonly reason: string;
      readonly text: string;
    }
  /** The empty query, which drivers send as a ping, or which the server gets in the place of a question to Rowgate itself. */
  | { readonly kind: 'empty'; readonly asks?: OwnQuestion };

/** COPY ... FROM STDIN. */
export function copiesIn(statement: Statement): boolean {
  return statement.kind === 'known' && statement.facts.kind === 'copy_from' && statement.facts.copy?.endpoint === 'client';
}

export const EMPTY_STATEMENT: Statement = { kind: 'empty' };
