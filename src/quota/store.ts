import type { DerivedStore } from './derived-store.ts';

/** Where quotas are counted. Two implementations pass one test suite: memory and Redis. */

/** One counter: the units that one principal (or role) took of one class in one window length. */
export interface Counter {
  /** Not empty; names one window length only. Stable over restarts and reloads, e.g. `customers:rows:3600000:p:agent`. */
  readonly key: string;
  readonly windowMs: number;
  /** Most units that may be granted in any interval of the window's length; null: count only. */
  readonly limit: number | null;
  /**
   * Set on a counter of people: each counts once a window, however often they come (`admit`), beside those who cannot be told apart (`reserve`).
   * The number is how many the store remembers where `limit` is null: the newest of them. Its key has `}:subjects:` behind the class.
   */
  readonly people?: number;
}

/** Counters that are charged with the same amount: all quotas on the rows (or on the bytes) of one class. */
export interface ReserveGroup {
  /** Units asked for; a grant may be smaller. */
  readonly want: number;
  /** Least useful grant, 1 <= min <= want. Below it the whole reservation fails. */
  readonly min: number;
  readonly counters: readonly Counter[];
}

export interface CounterState {
  /** Units counted in the window (and the lease life before it) after this call. */
  readonly used: number;
  /** Milliseconds until the oldest counted units leave the window; undefined if none are counted. */
  readonly nextFreeInMs: number | undefined;
}

export interface GroupGrant {
  readonly granted: number;
  readonly counters: readonly CounterState[];
}

export type Reservation =
  | { readonly kind: 'granted'; readonly lease: LeaseStamp; readonly groups: readonly GroupGrant[] }
  /** Nothing was reserved in any group. `group` and `counter` index the first limit that had less than `min` left; `sinceOthersMs`: how long ago another process was granted units of it, if one was. */
  | { readonly kind: 'refused'; readonly group: number; readonly counter: number; readonly groups: readonly GroupGrant[]; readonly sinceOthersMs: number | undefined };

/** Says in which slice of time the units were counted, so that a refund goes back to where it came from. */
export interface LeaseStamp {
  /** Milliseconds of the store's clock. */
  readonly grantedAtMs: number;
  /** The units may be delivered for this long after the reservation was *asked for*, by the local monotonic clock; later they are void (and stay counted). */
  readonly validForMs: number;
  /** Granted by this process alone while the store was away: the settlement in which the store is to count it. */
  readonly debt?: number;
}

export const PEOPLE_KEY = '}:subjects:';

/** Most people in one `admit`: bounds how long the store is busy with one call. */
export const MAX_PEOPLE_A_CALL = 1024;

export interface Admission {
  readonly lease: LeaseStamp;
  /** The first so many of those asked for may be delivered. */
  readonly admitted: number;
  /** For each of them the counters (bit i: counter i) in which they were not counted before. */
  readonly fresh: readonly number[];
  /** Index of the counter that had no room for the one behind them; undefined if all were admitted. */
  readonly refused: number | undefined;
  readonly counters: readonly CounterState[];
}

/** Some who were admitted and not delivered, and the counters in which they were new. */
export interface Dismissal {
  /** Keyed hashes, as for `admit`. */
  readonly people: Buffer;
  readonly counters: readonly Counter[];
}

/** Small values that processes leave for each other. Nothing may depend on finding one. */
export interface Notes {
  put(key: string, value: string, ttlMs: number): Promise<void>;
  get(key: string): Promise<string | undefined>;
  drop(key: string): Promise<void>;
}

export interface CounterStore {
  /** Which relations hold copies of protected data: kept with the counters, shared by the same processes. */
  readonly copies: DerivedStore;
  /** Undefined if no other process shares this store. */
  readonly notes?: Notes | undefined;
  /**
   * All groups are reserved or none. Rejects with `StoreUnavailableError` if the store cannot answer: the units may have been counted, and are not granted.
   * A counter's key appears once in a call (`RangeError` otherwise, as for amounts that are not whole numbers from 0 to 2^52).
   */
  reserve(groups: readonly ReserveGroup[]): Promise<Reservation>;
  /** Gives back units that were reserved and not delivered. Never raises what may be granted above the limit: units of an expired slice are dropped. Not idempotent: never send it again if its outcome is not known. Resolves also where it could not be sent: then the store does it once it is back. */
  refund(lease: LeaseStamp, groups: readonly { readonly units: number; readonly counters: readonly Counter[] }[]): Promise<void>;
  /**
   * Counts people, each by a keyed hash of their subject key (16 bytes, one behind the other), in the order in which their rows come: all counters have room for a person, or that
   * person and those behind are not admitted. Who is counted already is free, also where nothing is left. Rejects as `reserve` does.
   */
  admit(counters: readonly Counter[], people: Buffer): Promise<Admission>;
  /** Takes people back who were new in `lease` and not delivered, unless they were admitted again since. Not idempotent, as `refund`. */
  dismiss(lease: LeaseStamp, dismissals: readonly Dismissal[]): Promise<void>;
  /** What subject keys are hashed with: one secret for all processes that share the counters. */
  subjectSecret(): Promise<Buffer>;
  /** Small texts that all processes share, by kind and id: grants. Rejects as `reserve` does. */
  sharedTexts(kind: string): Promise<ReadonlyMap<string, string>>;
  /** Writes a note, or takes it away (`undefined`). */
  shareText(kind: string, id: string, text: string | undefined): Promise<void>;
  /** Reads without counting. */
  usage(counters: readonly Counter[]): Promise<readonly CounterState[]>;
  /** True the first time in `ttlMs` for this key, over all processes: for events that are raised once a window. */
  once(key: string, ttlMs: number): Promise<boolean>;
  /** False while it is known, or to be feared, that a call would fail: what was reserved ahead then stays where it is. Absent where the store cannot go away. */
  readonly reachable?: boolean;
  /** Rejects with `StoreUnavailableError` if the store cannot serve. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** The store cannot answer: protected rows stop (promise 6). */
export class StoreUnavailableError extends Error {
  override readonly name = 'StoreUnavailableError';
}

/** A version that counts in another way has the store: nothing is counted beside it, and no allowance stands in. */
export class IncompatibleStoreError extends StoreUnavailableError {}

/** The call changed nothing in the store, and is known not to have. */
export class NotCarriedOutError extends StoreUnavailableError {}
