import type { Counter } from './store.ts';

/** What one statement has to lease: made once a statement from the policy, read by `Lease`. */

/** A limit that is not enforced but told: an event is due once more than `limit` units were really spent. */
export interface FlagLimit {
  readonly ruleId: string;
  readonly limit: number;
}

export interface LeaseCounter {
  readonly counter: Counter;
  /** The rule that a refusal by this counter names; meaningless where `counter.limit` is null. */
  readonly ruleId: string;
  readonly flags: readonly FlagLimit[];
}

/** A limit on one statement alone: kept in the lease, no store is asked. */
export interface StatementLimit {
  readonly ruleId: string;
  readonly limit: number;
  readonly enforced: boolean;
}

/** One class in one dimension. Without counters the store is never asked. */
export interface PoolPlan {
  readonly counters: readonly LeaseCounter[];
  readonly statement: readonly StatementLimit[];
}

export interface LeaseClassPlan {
  readonly className: string;
  /** Units that a row costs at least: sizes the first reservation. */
  readonly width: number;
  readonly rows: PoolPlan;
  readonly bytes: PoolPlan;
  /** Units that the cursor's DECLARE paid for and nobody has used. */
  readonly prepaid: LeaseCredit | undefined;
}

export interface LeasePlan {
  readonly classes: readonly LeaseClassPlan[];
  /** Most rows that the statement can return, if its text says so. */
  readonly rowBound: number | undefined;
}

/**
 * Units of a class that are paid and unused. They are void after the deadline (local monotonic clock) like any other: a cursor that is
 * declared now and read in an hour must not deliver with units that have left the window.
 */
export interface LeaseCredit {
  readonly className: string;
  readonly units: number;
  readonly deadlineMs: number;
}

export type LeaseDimension = 'rows' | 'bytes';

/** Why no more units were to be had; everything that the employee is told. */
export interface LeaseRefusal {
  readonly ruleId: string;
  readonly className: string;
  readonly dimension: LeaseDimension;
  readonly limit: number;
  readonly used: number;
  readonly windowMs: number | 'statement';
  /** Until the oldest units leave the window; undefined for `statement`. */
  readonly nextFreeInMs: number | undefined;
  /** The store's key; undefined for `statement`. */
  readonly counterKey: string | undefined;
}

export interface FlagCrossing {
  readonly ruleId: string;
  readonly className: string;
  readonly dimension: LeaseDimension;
  readonly limit: number;
  /** Units really spent: what leases hold unspent is not in it, as far as this process knows. */
  readonly used: number;
  readonly windowMs: number | 'statement';
  readonly counterKey: string | undefined;
}
