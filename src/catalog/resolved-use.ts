import type { RelationUse } from '../sql/facts.ts';
import type { RelationRow } from './catalog-rows.ts';
import { NO_EFFECTS, type Effects } from './effects.ts';
import type { LocalRelation } from './reach-types.ts';

/** A relation use and all that its name can mean. */
export interface ResolvedUse {
  readonly use: RelationUse;
  readonly relations: readonly RelationRow[];
  readonly local: readonly LocalRelation[];
}

/** What was copied into a relation of one's own stays what it was; how it was packed is not known any more. */
export function localEffects(made: LocalRelation): Effects {
  const effect = { width: 1, calls: 0, packs: true, aggregated: true, relations: new Set([made.name]) };
  return { ...NO_EFFECTS, classes: new Map(made.classes.map((name) => [name, effect])), makesValues: made.makesValues === true };
}
