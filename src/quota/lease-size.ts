/** How many units to ask for. Pure. */

export interface LeaseSizes {
  /** First reservation of a class in rows of its width; doubled with each further one. */
  readonly firstRows: number;
  readonly maxRowUnits: number;
  readonly firstBytes: number;
  readonly maxBytes: number;
}

/** A few rows are most statements; a long result doubles its way to one round trip each 16,384 units. */
export const DEFAULT_SIZES: LeaseSizes = { firstRows: 16, maxRowUnits: 16_384, firstBytes: 16_384, maxBytes: 16_777_216 };

export interface AskLimits {
  /** The size that doubling has come to. */
  readonly size: number;
  /** What the next row cannot do without: the least useful grant. */
  readonly need: number;
  /** Left under the tightest limit at the last answer; Infinity if there was none or no limit. */
  readonly remaining: number;
  /** Units until a flag is due: asking for no more makes the next answer come when it is. */
  readonly flagRoom: number;
  /** Most units that the statement can still cost; Infinity if not known. */
  readonly bound: number;
}

/**
 * Half of what remains at most, so that sessions that run at the same time leave each other something and little is locked up in leases
 * when a limit is near. Never less than is needed: whether that is still there, only the store can say, for its window slides.
 */
export function unitsToAsk({ size, need, remaining, flagRoom, bound }: AskLimits): number {
  const share = remaining === Infinity ? Infinity : Math.ceil(remaining / 2);
  const room = flagRoom > 0 ? flagRoom : Infinity;
  return Math.max(need, Math.min(size, share, room, bound));
}
