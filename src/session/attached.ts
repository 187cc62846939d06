/** Code that the open transaction has made, or attached to something: nothing in the catalog shows yet when it runs, or what it does. Whatever runs behind it may run it for each of many rows. */

import { SINK } from '../catalog/effects.ts';
import type { Attached, Reach, ResolvedReach } from '../catalog/reach-types.ts';
import { NO_REACH, unionReach } from './reach-union.ts';

/** What it writes to are copies of any class, if it reads one, or what runs behind it does. */
export function withAttached(reach: ResolvedReach, attached: Attached, classNames: readonly string[]): Reach {
  // Names that are not there were made in the transaction, and told of.
  const reads = attached.reads || (reach.classes.length > 0 && (reach.opaque.length === 0 || reach.opaque.length > reach.misses.length));
  if (!reads || attached.oids.size + attached.names.length === 0) return reach;
  const classes = classNames.map((className) => ({ className, width: 1, packs: true }));
  const oids = [...attached.oids].filter((oid) => oid !== SINK);
  return unionReach(reach, { ...NO_REACH, readOnly: false, categories: new Set(['derived_copy']), copies: { oids, names: attached.names, classes, reshapes: false }, sink: attached.oids.has(SINK) });
}
