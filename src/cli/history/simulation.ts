/** What a policy would have done to each person, beside what was done. Pure. */

import type { Policy } from '../../policy/types.ts';
import type { Deed } from './deed.ts';
import { policyOfThePast } from './members.ts';
import { Replay, type Outcome } from './replay.ts';
import { UsageSeries, type RuleUse } from './usage-series.ts';

/** What one policy did to one person. */
export interface Effect {
  blocked: number;
  flagged: number;
  /** The first statement that was blocked or, if none was, flagged. */
  firstMs: number | undefined;
  firstRule: string | undefined;
}

export interface PersonResult {
  readonly principal: string;
  readonly roles: readonly string[];
  statements: number;
  /** Units taken, as recorded. */
  units: number;
  /** Units that the new policy would have let through. */
  delivered: number;
  readonly inForce: Effect;
  readonly simulated: Effect;
}

export interface RuleResult {
  readonly ruleId: string;
  readonly statements: number;
  readonly people: number;
  readonly firstMs: number;
}

export interface SimulationResult {
  readonly fromMs: number;
  readonly toMs: number;
  readonly statements: number;
  readonly blockedInForce: number;
  readonly flaggedInForce: number;
  readonly blocked: number;
  readonly flagged: number;
  readonly people: readonly PersonResult[];
  readonly rules: readonly RuleResult[];
  readonly use: readonly RuleUse[];
}

export class Simulation {
  readonly #replay: Replay;
  readonly #series = new UsageSeries();
  readonly #people = new Map<string, PersonResult>();
  readonly #rules = new Map<string, { statements: number; firstMs: number; readonly people: Set<string> }>();
  readonly #policyOf: ReturnType<typeof policyOfThePast>;
  #fromMs = Infinity;
  #toMs = -Infinity;
  #statements = 0;

  constructor(policy: Policy) {
    this.#policyOf = policyOfThePast(policy);
    this.#replay = new Replay(this.#policyOf, { reading: (deed, reading) => this.#series.take(deed.timeMs, deed.principal, reading) });
  }

  take(deed: Deed): Outcome {
    this.#statements++;
    this.#fromMs = Math.min(this.#fromMs, deed.timeMs);
    this.#toMs = Math.max(this.#toMs, deed.timeMs);
    const outcome = this.#replay.take(deed);
    const person = this.#person(deed);
    person.statements++;
    person.units += outcome.wanted;
    person.delivered += outcome.delivered;
    note(person.inForce, deed.decision === 'terminate' ? 'block' : deed.decision, deed.ruleId, deed.timeMs);
    note(person.simulated, outcome.decision, outcome.ruleId, deed.timeMs);
    if (outcome.ruleId !== undefined) this.#noteRule(outcome.ruleId, deed);
    return outcome;
  }

  finish(): SimulationResult {
    const people = [...this.#people.values()].toSorted(
      (a, b) => b.simulated.blocked - a.simulated.blocked || b.simulated.flagged - a.simulated.flagged || b.units - a.units,
    );
    const sum = (of: (person: PersonResult) => number): number => people.reduce((total, person) => total + of(person), 0);
    return {
      fromMs: this.#fromMs,
      toMs: this.#toMs,
      statements: this.#statements,
      blockedInForce: sum((person) => person.inForce.blocked),
      flaggedInForce: sum((person) => person.inForce.flagged),
      blocked: sum((person) => person.simulated.blocked),
      flagged: sum((person) => person.simulated.flagged),
      people,
      rules: [...this.#rules].map(([ruleId, each]) => ({ ruleId, statements: each.statements, people: each.people.size, firstMs: each.firstMs }))
        .toSorted((a, b) => b.statements - a.statements),
      use: this.#series.finish(),
    };
  }

  #person(deed: Deed): PersonResult {
    let person = this.#people.get(deed.principal);
    if (person === undefined) {
      person = {
        principal: deed.principal, roles: this.#policyOf(deed).roles, statements: 0, units: 0, delivered: 0,
        inForce: { blocked: 0, flagged: 0, firstMs: undefined, firstRule: undefined },
        simulated: { blocked: 0, flagged: 0, firstMs: undefined, firstRule: undefined },
      };
      this.#people.set(deed.principal, person);
    }
    return person;
  }

  #noteRule(ruleId: string, deed: Deed): void {
    let rule = this.#rules.get(ruleId);
    if (rule === undefined) this.#rules.set(ruleId, (rule = { statements: 0, firstMs: deed.timeMs, people: new Set() }));
    rule.statements++;
    rule.people.add(deed.principal);
  }
}

function note(effect: Effect, decision: Outcome['decision'], ruleId: string | undefined, timeMs: number): void {
  if (decision === 'allow') return;
  const first = decision === 'block' ? effect.blocked === 0 : effect.blocked + effect.flagged === 0;
  if (first) {
    effect.firstMs = timeMs;
    effect.firstRule = ruleId;
  }
  if (decision === 'block') effect.blocked++;
  else effect.flagged++;
}
