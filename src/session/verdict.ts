import type { Reach } from '../catalog/reach-types.ts';
import { blockOrFlag, decide } from '../policy/decide.ts';
import type { PrincipalPolicy, Verdict } from '../policy/types.ts';
import type { StatementFacts } from '../sql/facts.ts';
import { settingVerdict } from './lexer-settings.ts';
import { countsPeople } from './subject-meter.ts';

/** What policy says of a statement before anything is counted. `facts` is undefined for a text that could not be read. */
export function verdictOf(facts: StatementFacts | undefined, reach: Reach, principal: PrincipalPolicy): Verdict {
  const verdict = decide(reach, principal);
  if (verdict.kind === 'block' || !principal.metered) return verdict;
  const refused = facts === undefined ? undefined : settingVerdict(facts, reach, principal);
  if (refused !== undefined) return blockOrFlag(refused, principal);
  // A row of a class must not come to hold others of it; and where people are counted by their keys, keys must stay what they are.
  if (!(reach.sink || reach.copies?.reshapes === true || (reach.rekeys === true && countsPeople(principal))) || reach.classes.length === 0) return verdict;
  // No unit can be put on what goes there, so no policy can let it through.
  return decide({ ...reach, categories: new Set(['derived_copy']) }, { ...principal, deny: new Map([['derived_copy', principal.roles[0] ?? 'unlisted']]) });
}
