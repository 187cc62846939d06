/** What a RowDescription says, held against the catalog: whose columns they are. */

import { readColumns, type ColumnShape } from '../protocol/backend-messages.ts';
import type { SessionState } from './session-state.ts';

export interface Described {
  readonly columns: readonly ColumnShape[];
  /** Classes of the tables that columns come from. */
  readonly classes: readonly string[];
  /** How many tables the catalog does not have. */
  readonly unknownTables: number;
  /** For each column, whether it comes from a table as it is. */
  readonly plain: readonly boolean[];
}

/** Larger messages are not kept: their statements do more work than that. */
const LARGEST_KEPT_BYTES = 4096;

export class RowDescriptions {
  readonly #session: SessionState;
  /** Nearly every execution of a statement brings the same message again. */
  #latest: { readonly message: Buffer; readonly policy: string; readonly copies: number; readonly described: Described } | undefined;

  constructor(session: SessionState) {
    this.#session = session;
  }

  /** The message lies in `buffer` from `start` to `end`. */
  read(buffer: Buffer, start: number, end: number): Described {
    const { gate, identity } = this.#session;
    const policy = gate.policyVersion(identity.database);
    const copies = gate.copiesEpoch(identity.database);
    const latest = this.#latest;
    if (latest !== undefined && latest.policy === policy && latest.copies === copies && latest.message.compare(buffer, start, end) === 0) return latest.described;
    const described = this.#describe(readColumns(buffer, start, end));
    this.#latest = undefined;
    if (end - start <= LARGEST_KEPT_BYTES) {
      // Memory of its own, not a part of what all share.
      const message = Buffer.allocUnsafeSlow(end - start);
      buffer.copy(message, 0, start, end);
      this.#latest = { message, policy, copies, described };
    }
    return described;
  }

  #describe(columns: readonly ColumnShape[]): Described {
    const { gate, identity } = this.#session;
    const classes = new Set<string>();
    const unknown = new Set<number>();
    for (const { tableOid } of columns) {
      if (tableOid === 0) continue;
      const names = gate.classesOfOid(identity.database, tableOid);
      if (names === undefined) unknown.add(tableOid);
      else for (const name of names) classes.add(name);
    }
    return { columns, classes: [...classes], unknownTables: unknown.size, plain: columns.map(({ tableOid }) => tableOid !== 0) };
  }
}
