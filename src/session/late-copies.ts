/** Where a statement has put what nobody knew that it would read: its targets are copies from the moment that this is known, though they may hold it already. */

import type { CopyTargets, Reach } from '../catalog/reach-types.ts';
import type { StatementFacts } from '../sql/facts.ts';
import type { SessionState } from './session-state.ts';

/** Of a statement that may have called anything: whatever it writes may hold any number of rows of every class. */
export function anythingWritten(session: SessionState, { derives, modifies, defines, relations }: StatementFacts): CopyTargets | undefined {
  if (!derives && !modifies) return undefined;
  const written = relations.filter(({ mode }) => mode === 'write');
  return { oids: [], names: [...defines, ...written], classes: session.gate.classNames.map((className) => ({ className, width: 1, packs: true })), reshapes: false };
}

/** The statement has run, so that what has its targets' names may be what it has made. Tables of the classes themselves stay what they are. */
export function withThoseMade(session: SessionState, reach: Reach): Reach {
  const { copies } = reach;
  if (copies === undefined) return reach;
  const { gate, identity: { database } } = session;
  const { relationsByName } = gate.snapshot(database);
  const made = copies.names.flatMap(({ schema, name }) => (relationsByName.get(name) ?? []).filter((relation) => schema === undefined || relation.schema === schema));
  const stays = (oid: number): boolean => {
    const held = gate.classesOfOid(database, oid) ?? [];
    return copies.classes.every(({ className }) => held.includes(className));
  };
  return { ...reach, copies: { ...copies, oids: [...new Set([...copies.oids, ...made.map(({ oid }) => oid).filter((oid) => !stays(oid))])] } };
}
