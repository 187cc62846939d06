import type { ClassDefinition, ClassReach, DenyCategory, Reach } from '../catalog/reach-types.ts';
import type { RefusalCode } from './refusal-codes.ts';

/** The policy as compiled from the configuration: plain data, no I/O. */

export type QuotaDimension = 'rows' | 'subjects' | 'bytes';
export type QuotaAction = 'flag' | 'block' | 'terminate';
export type QuotaScope = 'principal' | 'role';

export interface CompiledQuota {
  /** e.g. `support/customers/rows/1h`; unique, named in refusals, audit and metrics. */
  readonly ruleId: string;
  readonly role: string;
  readonly className: string;
  readonly dimension: QuotaDimension;
  /** Milliseconds, or `statement`. */
  readonly window: number | 'statement';
  /** As written: `1h`. */
  readonly windowText: string;
  readonly limit: number;
  readonly scope: QuotaScope;
  /** What is done; `block` and `terminate` are already turned into `flag` in monitor mode. */
  readonly action: QuotaAction;
}

export interface CompiledClass extends ClassDefinition {
  readonly unitBytes: number;
  readonly packedUnitBytes: number;
}

export interface MemberPattern {
  readonly kind: 'name' | 'glob' | 'pg_role';
  readonly value: string;
}

export interface CompiledRole {
  readonly name: string;
  readonly members: readonly MemberPattern[];
  readonly quotas: readonly CompiledQuota[];
  readonly deny: ReadonlySet<DenyCategory>;
  readonly contact: string | undefined;
  /** Replication connections allowed. */
  readonly replication: boolean;
  /** `redact`: server errors and notices to this role carry no values while a class is in reach. */
  readonly errors: 'redact' | 'full';
  /** Undefined: look-ups are not held against a habit. */
  readonly lookups: LookupPolicy | undefined;
}

/** Statements that cost one unit, in number: see `LookupHabits`. */
export interface LookupPolicy {
  readonly role: string;
  readonly windowMs: number;
  /** As written: `1h`. */
  readonly windowText: string;
  readonly above: number;
  readonly habit: number;
}

export interface Policy {
  readonly classes: ReadonlyMap<string, CompiledClass>;
  readonly roles: readonly CompiledRole[];
  readonly unlisted: 'block' | 'flag' | 'allow';
  readonly mode: 'enforce' | 'monitor';
  /** Functions (`schema.name` or globs) that ops reviewed: they read nothing protected and run no text as SQL. */
  readonly trustedFunctions: readonly string[];
}

/** What holds for one login: the union of its roles. */
export interface PrincipalPolicy {
  readonly principal: string;
  readonly roles: readonly string[];
  /** In a role with at least one quota, or in no role with `unlisted: block` or `flag`. */
  readonly metered: boolean;
  /** Every quota of every role of this principal, by class. */
  readonly quotas: ReadonlyMap<string, readonly CompiledQuota[]>;
  /** Category -> the role whose policy denies it. */
  readonly deny: ReadonlyMap<DenyCategory, string>;
  readonly contact: string | undefined;
  readonly unlisted: 'block' | 'flag' | 'allow' | undefined;
  readonly replication: boolean;
  readonly redactErrors: boolean;
  /** Of each role that watches them. */
  readonly lookups: readonly LookupPolicy[];
  readonly mode: 'enforce' | 'monitor';
  readonly classes: ReadonlyMap<string, CompiledClass>;
}

/** A refusal is a value. It owns all that the employee reads. */
export interface Refusal {
  readonly kind: 'refusal';
  /** Which of Rowgate's refusals it is: `REFUSAL_KINDS` tells its log level and meaning. */
  readonly code?: RefusalCode;
  readonly ruleId: string;
  readonly severity: 'ERROR' | 'FATAL';
  /** 42501 policy, 53400 quota, 57P03 store or audit not available. */
  readonly sqlstate: string;
  readonly message: string;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
}

/** What deny rules and `unlisted` say about a statement before anything is counted. */
export type Verdict =
  | { readonly kind: 'allow' }
  /** Deliver, and raise an event. */
  | { readonly kind: 'flag'; readonly ruleId: string; readonly reason: string }
  | { readonly kind: 'block'; readonly refusal: Refusal };

/** Pure: (reach, principal) -> verdict. Quotas come after it, when units are reserved. */
export type Decide = (reach: Reach, principal: PrincipalPolicy) => Verdict;

/** Units that one delivered row costs in a class. `expressionBytes`: its part that is not a table's column as it stands. Pure; called once a row, so it allocates nothing. */
export type RowCost = (reach: ClassReach, cls: CompiledClass, rowBytes: number, expressionBytes: number) => number;
