import type { Counter, CounterState } from './store.ts';

/**
 * The sliding window, cut in slices. Deterministic and without I/O: time comes in, state is the caller's.
 *
 * A unit granted at t may be delivered until t + `leaseLifeMs`. Two units can therefore be delivered within one window although their
 * grants lie `windowMs + leaseLifeMs` apart, and a slice is forgotten only when *all* of it is older than that (docs/adr/0002).
 */

/** Slices in one window. With the lease's life and both ragged ends this gives at most `MAX_LIVE_SLICES` numbers a counter. */
export const SLICES_PER_WINDOW = 60;
/** (60 + 60/6) whole slices, and one more at either end. */
export const MAX_LIVE_SLICES = 72;
/** Shorter windows would leave leases no time to be used over a network. */
export const MIN_WINDOW_MS = 500;
export const MAX_WINDOW_MS = 400 * 86_400_000;
/** No lease lives longer, whatever its windows: a session that stalls holds other sessions' units no longer than this. */
export const MAX_LEASE_LIFE_MS = 30_000;
/** No counter may pass this, so that totals stay exact in doubles (JavaScript, Lua). Not 2^53: ioredis's parser adds a digit's character code before it takes 48 off. */
export const MAX_UNITS = 2 ** 52;

/** How one window length is cut. */
export interface WindowShape {
  readonly sliceMs: number;
  /** What still counts: the window and the life of a lease granted at its far end. */
  readonly horizonMs: number;
}

/** Time after its grant for which a unit may still be on its way to a client, as the window accounts for it. */
export function leaseLifeMs(windowMs: number): number {
  return Math.min(MAX_LEASE_LIFE_MS, Math.floor(windowMs / 6));
}

/**
 * What the session is told: 2 % less than what is accounted for, since two machines' clocks run at rates that differ (NTP slews by up to
 * 0.05 %) and a session looks at the time once a chunk, not once a row.
 */
export function validForMs(counters: readonly Counter[]): number {
  let lifeMs = MAX_LEASE_LIFE_MS;
  for (const counter of counters) lifeMs = Math.min(lifeMs, leaseLifeMs(counter.windowMs));
  return Math.floor(lifeMs * 0.98);
}

export function shapeOf(windowMs: number): WindowShape {
  return { sliceMs: Math.ceil(windowMs / SLICES_PER_WINDOW), horizonMs: windowMs + leaseLifeMs(windowMs) };
}

/** One counter's state: a ring of slices with its running total. About 0.7 kB, whatever is counted. */
export interface SlidingWindow {
  readonly shape: WindowShape;
  /** Units of slice i at i mod MAX_LIVE_SLICES. Every slice outside of [oldest, newest] is 0. */
  readonly units: Float64Array;
  total: number;
  /** Index (time / sliceMs) of the oldest slice that holds units; meaningless while total is 0. */
  oldest: number;
  /** Index of the latest slice that was written. */
  newest: number;
  /** Time of the latest grant; undefined before the first. */
  grantedAtMs: number | undefined;
}

export function newWindow(windowMs: number): SlidingWindow {
  return { shape: shapeOf(windowMs), units: new Float64Array(MAX_LIVE_SLICES), total: 0, oldest: 0, newest: 0, grantedAtMs: undefined };
}

/** First slice of which some part lies after `nowMs - horizonMs`. */
function firstLiveSlice(shape: WindowShape, nowMs: number): number {
  return Math.floor((nowMs - shape.horizonMs) / shape.sliceMs);
}

/** Forgets what can no longer share a window with a delivery at `nowMs` or later. Costs one step a slice that expired. */
export function advance(window: SlidingWindow, nowMs: number): void {
  if (window.total === 0) return;
  const first = firstLiveSlice(window.shape, nowMs);
  if (window.oldest >= first) return;
  if (window.newest < first) {
    window.units.fill(0);
    window.total = 0;
    return;
  }
  let slice = window.oldest;
  while (slice < first) {
    const at = slice % MAX_LIVE_SLICES;
    window.total -= window.units[at] as number;
    window.units[at] = 0;
    slice += 1;
  }
  window.oldest = nextFilled(window, slice);
}

function nextFilled(window: SlidingWindow, from: number): number {
  let slice = from;
  while (slice < window.newest && window.units[slice % MAX_LIVE_SLICES] === 0) slice += 1;
  return slice;
}

/** Counts units at `nowMs`, which must not be before the latest call's: the caller keeps the clock's high-water mark. */
export function add(window: SlidingWindow, nowMs: number, units: number): void {
  if (units === 0) return;
  advance(window, nowMs);
  window.grantedAtMs = nowMs;
  const slice = Math.floor(nowMs / window.shape.sliceMs);
  if (window.total === 0) window.oldest = slice;
  window.newest = slice;
  const at = slice % MAX_LIVE_SLICES;
  window.units[at] = (window.units[at] as number) + units;
  window.total += units;
}

/** Takes back units that were counted at `atMs`; never more than that slice holds, nothing if the slice is gone. */
export function takeBack(window: SlidingWindow, atMs: number, units: number): void {
  const slice = Math.floor(atMs / window.shape.sliceMs);
  if (window.total === 0 || slice < window.oldest || slice > window.newest) return;
  const at = slice % MAX_LIVE_SLICES;
  const held = window.units[at] as number;
  const back = Math.min(held, units);
  window.units[at] = held - back;
  window.total -= back;
  if (window.total > 0 && slice === window.oldest) window.oldest = nextFilled(window, slice);
}

/** Units that count at `nowMs`, and when the oldest of them stop counting. */
export function stateAt(window: SlidingWindow, nowMs: number): CounterState {
  advance(window, nowMs);
  if (window.total === 0) return { used: 0, nextFreeInMs: undefined };
  const { sliceMs, horizonMs } = window.shape;
  return { used: window.total, nextFreeInMs: (window.oldest + 1) * sliceMs + horizonMs - nowMs };
}

/** The slices that hold units, oldest first, from the slice of `sinceMs` on. */
export function filledSlices(window: SlidingWindow, sinceMs: number): { slice: number; units: number }[] {
  const filled: { slice: number; units: number }[] = [];
  if (window.total === 0) return filled;
  const from = Math.max(window.oldest, Math.floor(sinceMs / window.shape.sliceMs));
  for (let slice = from; slice <= window.newest; slice += 1) {
    const units = window.units[slice % MAX_LIVE_SLICES] as number;
    if (units > 0) filled.push({ slice, units });
  }
  return filled;
}
