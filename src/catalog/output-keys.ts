/** What RowDescription does not tell: which table columns a view's columns and COPY's columns are. */

import type { OutputColumn, StatementFacts } from '../sql/facts.ts';
import type { SubjectKey } from './class-members.ts';
import { resolveRelations } from './names.ts';
import type { SearchPath } from './reach-types.ts';
import type { Snapshot } from './snapshot.ts';

export interface ColumnAt {
  readonly tableOid: number;
  readonly attributeNumber: number;
  readonly type: number;
}

/** Where each output column stands; undefined where it is an expression, or as a whole where the columns cannot be counted. */
export function resolveOutputs(outputs: readonly (OutputColumn | undefined)[], snapshot: Snapshot, searchPath: SearchPath): readonly (ColumnAt | undefined)[] | undefined {
  const columns: (ColumnAt | undefined)[] = [];
  for (const output of outputs) {
    if (output === undefined) {
      columns.push(undefined);
      continue;
    }
    const [relation, ...others] = output.relation === undefined ? [] : resolveRelations(snapshot, output.relation, searchPath);
    const known = relation === undefined || others.length > 0 ? undefined : snapshot.columns.get(relation.oid);
    if (output.column === '*') {
      if (relation === undefined || known === undefined) return undefined;
      for (const [i, attributeNumber] of known.attnums.entries()) columns.push({ tableOid: relation.oid, attributeNumber, type: known.types[i] ?? 0 });
      continue;
    }
    const at = known?.names.indexOf(output.column) ?? -1;
    columns.push(relation === undefined || known === undefined || at < 0 ? undefined : { tableOid: relation.oid, attributeNumber: known.attnums[at] ?? 0, type: known.types[at] ?? 0 });
  }
  return columns;
}

/** Keys of a view: its columns that are a key of what it reads, as that stands. `facts`: its query, printed with every name's schema. */
export function viewKeys(viewOid: number, facts: StatementFacts, snapshot: Snapshot, keysOf: (oid: number) => readonly SubjectKey[]): readonly SubjectKey[] {
  const own = snapshot.columns.get(viewOid);
  const sources = facts.outputs === undefined ? undefined : resolveOutputs(facts.outputs, snapshot, []);
  // A view whose columns are others than its text gives is not understood.
  if (own === undefined || sources === undefined || sources.length !== own.attnums.length) return [];
  const keys: SubjectKey[] = [];
  const tables = new Set(sources.flatMap((source) => (source === undefined ? [] : [source.tableOid])));
  for (const table of tables) {
    for (const { className, attnums } of keysOf(table)) {
      if (attnums.length === 1) {
        for (const [i, source] of sources.entries()) {
          if (source?.tableOid === table && source.attributeNumber === attnums[0]) keys.push({ className, columns: [own.names[i] as string], attnums: [own.attnums[i] as number] });
        }
        continue;
      }
      const at = attnums.map((attnum) => sources.findIndex((source) => source?.tableOid === table && source.attributeNumber === attnum));
      // The table may stand in the view twice, and parts of two people's keys are nobody's.
      if (!at.includes(-1) && facts.relations.length === 1) keys.push({ className, columns: at.map((i) => own.names[i] as string), attnums: at.map((i) => own.attnums[i] as number) });
    }
  }
  return keys;
}
