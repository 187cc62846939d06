/** What audit records show of a statement: its kind, its text as the policy wants it, its fingerprint. */

import { auditSql } from '../audit/redact.ts';
import type { Config } from '../policy/config.ts';
import type { Analyser } from '../sql/analyser.ts';
import type { StatementFacts } from '../sql/facts.ts';
import type { NormalisedSql } from '../sql/normalise.ts';
import type { StatementDescription } from './gate.ts';
import type { Statement } from './statement.ts';

type Mode = Config['audit']['sql'];

export class StatementDescriptions {
  readonly #analyser: Analyser;
  /** Facts belong to texts that differ in literals at most. */
  readonly #described = new WeakMap<StatementFacts, StatementDescription & { readonly mode: Mode }>();

  constructor(analyser: Analyser) {
    this.#analyser = analyser;
  }

  of(statement: Statement, mode: Config['audit']['sql']): StatementDescription | Promise<StatementDescription> {
    if (statement.kind !== 'known') return { statement_kind: 'unparsed', sql: `<${statement.kind === 'opaque' ? statement.reason : 'empty'}>` };
    const { facts } = statement;
    const known = this.#described.get(facts);
    if (known !== undefined && known.mode === mode) return known;
    const text = facts.length === 0 ? statement.text : sliceUtf8(statement.text, facts.offset, facts.length);
    const normalised = this.#analyser.normalise(text);
    const describe = ({ sql, fingerprint }: NormalisedSql): StatementDescription => {
      const described = { statement_kind: facts.kind, sql: auditSql(mode, text, sql), fingerprint, mode };
      if (mode !== 'full') this.#described.set(facts, described);
      return described;
    };
    return normalised instanceof Promise ? normalised.then(describe) : describe(normalised);
  }
}

function sliceUtf8(text: string, offset: number, length: number): string {
  return Buffer.from(text, 'utf8').subarray(offset, offset + length).toString('utf8');
}
