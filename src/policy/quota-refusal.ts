import { askContact, refuse, sentences } from './refusal-codes.ts';
import type { CompiledQuota, Refusal } from './types.ts';
import { durationInWords, formatSize } from './units.ts';

/** What is known when a quota has too little left. */
export interface ExhaustedQuota {
  readonly quota: CompiledQuota;
  /** Units counted in the window; for a statement window, in this statement. */
  readonly used: number;
  /** Least units that the next row costs; 1 if left out. */
  readonly unitsPerRow?: number | undefined;
  /** Units that the statement costs before it begins, for what it tells by what it leaves behind; undefined once it has begun. */
  readonly aside?: number | undefined;
  /** Rows of this statement that the client got before the refusal. */
  readonly deliveredRows?: number | undefined;
  /** Until the oldest counted units leave the window; undefined if not known. */
  readonly nextFreeInMs?: number | undefined;
  /** Wall clock, milliseconds since 1970. */
  readonly nowMs: number;
  readonly contact: string | undefined;
}

export function quotaRefusal(exhausted: ExhaustedQuota): Refusal {
  const { quota, contact } = exhausted;
  const nextFree = nextFreeInWords(exhausted);
  return refuse(quota.action === 'terminate' ? 'session_ended_by_quota' : 'quota_used_up', {
    ruleId: quota.ruleId,
    message: messageOf(exhausted),
    detail: sentences(
      `Rule ${quota.ruleId} allows ${amount(quota, quota.limit)} of class "${quota.className}" ${windowInWords(quota)}; ${used(exhausted)}.`,
      deliveredInWords(exhausted),
      nextFree === undefined ? undefined : `The next units come free at ${nextFree}.`,
    ),
    hint: sentences(whatFits(exhausted), nextFree === undefined ? undefined : 'More comes free bit by bit from the time above on.', askContact(contact, 'If your work needs more')),
  });
}

function left({ quota, used: usedUnits }: ExhaustedQuota): number {
  return Math.max(0, quota.limit - usedUnits);
}

function messageOf(exhausted: ExhaustedQuota): string {
  const { quota } = exhausted;
  const owner = quota.scope === 'role' ? ` of role "${quota.role}"` : '';
  const subject = `${NOUN[quota.dimension]} quota${owner} for class "${quota.className}"`;
  const window = quota.window === 'statement' ? 'one statement' : quota.windowText;
  const rest = left(exhausted);
  if (rest === 0) return `${subject} is used up: ${plain(quota, exhausted.used)} of ${plain(quota, quota.limit)} in ${window}`;
  return `${subject} has too little left: ${plain(quota, rest)} of ${plain(quota, quota.limit)} in ${window}, and ${exhausted.aside === undefined ? 'the next row' : 'the statement by itself'} costs ${plain(quota, exhausted.aside ?? rowUnits(exhausted))}`;
}

const NOUN = { rows: 'row', subjects: 'subject', bytes: 'byte' } as const;

function rowUnits({ unitsPerRow }: ExhaustedQuota): number {
  return Math.max(1, unitsPerRow ?? 1);
}

/** `200`, `1.5 MiB` */
function plain(quota: CompiledQuota, units: number): string {
  return quota.dimension === 'bytes' ? formatSize(units) : String(units);
}

/** `200 rows`, `1 person`, `1.5 MiB` */
function amount(quota: CompiledQuota, units: number): string {
  switch (quota.dimension) {
    case 'rows':
      return units === 1 ? '1 row' : `${units} rows`;
    case 'subjects':
      return units === 1 ? '1 person' : `${units} people`;
    case 'bytes':
      return formatSize(units);
  }
}

function windowInWords(quota: CompiledQuota): string {
  if (quota.window === 'statement') return 'in one statement';
  return `in any ${quota.windowText} to ${quota.scope === 'role' ? `all of role "${quota.role}" together` : 'each login'}`;
}

function used(exhausted: ExhaustedQuota): string {
  const { quota } = exhausted;
  if (quota.window === 'statement') return `this statement took ${amount(quota, exhausted.used)}`;
  return `${amount(quota, exhausted.used)} ${exhausted.used === 1 && quota.dimension !== 'bytes' ? 'is' : 'are'} used`;
}

function deliveredInWords(exhausted: ExhaustedQuota): string | undefined {
  const { quota, deliveredRows } = exhausted;
  const costly = quota.dimension === 'rows' && rowUnits(exhausted) > 1 ? `A row of this statement counts as ${rowUnits(exhausted)}.` : undefined;
  const delivered = deliveredRows === undefined || deliveredRows === 0 ? undefined : `Before it stopped, this statement delivered ${deliveredRows === 1 ? '1 row' : `${deliveredRows} rows`}.`;
  return sentences(delivered, costly);
}

/** `2026-11-23T21:40:00Z, in 12 minutes`; rounded up, so that the time told is never too early. */
function nextFreeInWords({ quota, nextFreeInMs, nowMs }: ExhaustedQuota): string | undefined {
  if (quota.window === 'statement' || nextFreeInMs === undefined) return undefined;
  const at = new Date(Math.ceil((nowMs + Math.max(0, nextFreeInMs)) / 1000) * 1000);
  return `${at.toISOString().replace('.000Z', 'Z')}, in ${durationInWords(nextFreeInMs)}`;
}

/** The largest LIMIT that would have gone through. */
function whatFits(exhausted: ExhaustedQuota): string | undefined {
  const { quota } = exhausted;
  if (exhausted.aside !== undefined) return 'It costs what it leaves behind: each table, partition and index that it fills tells by its size how many rows went there, and so do sequences and random numbers. Fewer of them cost less.';
  const isStatement = quota.window === 'statement';
  if (quota.dimension === 'bytes') return 'Select fewer columns, or fewer rows with a LIMIT.';
  if (quota.dimension === 'subjects') return isStatement ? `Ask for at most ${amount(quota, quota.limit)} at a time.` : undefined;
  const rows = Math.floor((isStatement ? quota.limit : left(exhausted)) / rowUnits(exhausted));
  if (rows >= 1) return isStatement ? `Ask with LIMIT ${rows} or less.` : `A statement with LIMIT ${rows} still fits.`;
  return rowUnits(exhausted) > 1 ? 'Rows of fewer tables, without aggregates, cost less.' : undefined;
}
