/** Statements of one unit, held against what members of their login's roles do (`roles.*.lookups`). */

import { lookupRuleId } from '../policy/principal.ts';
import type { Policy, PrincipalPolicy } from '../policy/types.ts';
import { LookupHabits, type LookupRule } from '../quota/lookup-habits.ts';
import type { LookupCrossing } from './gate.ts';

interface NamedRule {
  readonly rule: LookupRule;
  readonly windowText: string;
  readonly ruleId: string;
}

const NONE: readonly LookupCrossing[] = [];

export class BlindQuestions {
  readonly #habits = new LookupHabits();
  /** Of one role and class the same object always: by the configuration in force. */
  #rules = new Map<string, Map<string, NamedRule>>();

  /** A new configuration. */
  apply(policy: Policy): void {
    this.#rules = new Map();
    const kept: LookupRule[] = [];
    for (const { name: role, lookups } of policy.roles) {
      if (lookups === undefined) continue;
      const { windowMs, windowText, above, habit } = lookups;
      const byClass = new Map([...policy.classes.keys()].map((className) => [className, { rule: { role, className, windowMs, above, habit }, windowText, ruleId: lookupRuleId(role, className, windowText) }] as const));
      this.#rules.set(role, byClass);
      for (const { rule } of byClass.values()) kept.push(rule);
    }
    this.#habits.keepOnly(kept);
  }

  /** The rules by which the login asks far more than its role does. */
  note(principal: PrincipalPolicy, className: string, nowMs: number): readonly LookupCrossing[] {
    let crossings: LookupCrossing[] | undefined;
    for (const { role } of principal.lookups) {
      const named = this.#rules.get(role)?.get(className);
      const many = named === undefined ? undefined : this.#habits.note(named.rule, principal.principal, nowMs);
      if (named === undefined || many === undefined) continue;
      const reason = (): string => `${many.count} look-ups in class "${className}" within ${named.windowText}; the habit of role "${role}" is ${many.habit}`;
      (crossings ??= []).push({ ruleId: named.ruleId, windowMs: named.rule.windowMs, count: many.count, reason });
    }
    return crossings ?? NONE;
  }
}
