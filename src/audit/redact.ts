/** Bounds and masks what goes into a log line. Everything here errs on the side of writing less. */

/** Most characters (UTF-16 units) of each text, most entries of each list. */
export interface AuditLimits {
  readonly sqlChars: number;
  readonly applicationNameChars: number;
  /** Principal, database, client address, ids, and each role, class and relation name. A failed login may claim a name of any length. */
  readonly nameChars: number;
  readonly reasonChars: number;
  readonly listEntries: number;
}

export const defaultAuditLimits: AuditLimits = {
  sqlChars: 8192,
  applicationNameChars: 64,
  nameChars: 256,
  reasonChars: 1024,
  listEntries: 256,
};

/** Cuts `text` to `maxChars`, never through a surrogate pair, and says how much is missing. The note comes on top of `maxChars`. */
export function boundText(text: string, maxChars: number): string {
  if (text.length <= maxChars) return text;
  const last = text.charCodeAt(maxChars - 1);
  const end = last >= 0xd800 && last <= 0xdbff ? maxChars - 1 : maxChars;
  return `${text.slice(0, end)}[+${text.length - end} chars]`;
}

/** Cuts a list, and says as its last entry how much is missing. */
export function boundNames(names: readonly string[], limits: AuditLimits): readonly string[] {
  const fits = names.length <= limits.listEntries && names.every((name) => name.length <= limits.nameChars);
  if (fits) return names;
  const kept = names.slice(0, limits.listEntries).map((name) => boundText(name, limits.nameChars));
  if (names.length > limits.listEntries) kept.push(`[+${names.length - limits.listEntries} more]`);
  return kept;
}

function charsFor(key: string, limits: AuditLimits): number {
  switch (key) {
    case 'sql': return limits.sqlChars;
    case 'application_name': return limits.applicationNameChars;
    case 'reason': return limits.reasonChars;
    default: return limits.nameChars;
  }
}

/** Whether nothing of the event needs to be cut. Asked for every record, so it looks at lengths only. */
function fits(event: object, limits: AuditLimits): boolean {
  for (const key in event) {
    const value: unknown = event[key as keyof typeof event];
    if (typeof value === 'string') {
      if (value.length > charsFor(key, limits)) return false;
    } else if (Array.isArray(value)) {
      if (value.length > limits.listEntries) return false;
      for (const entry of value) if (typeof entry === 'string' && entry.length > limits.nameChars) return false;
    }
  }
  return true;
}

/** The same event with every text and list bounded. Returns the event itself if all fits, which is the rule. */
export function boundEvent<T extends object>(event: T, limits: AuditLimits): T {
  if (fits(event, limits)) return event;
  const bounded: Record<string, unknown> = { ...event } as Record<string, unknown>;
  for (const [key, value] of Object.entries(event) as [string, unknown][]) bounded[key] = boundValue(key, value, limits);
  return bounded as T;
}

function boundValue(key: string, value: unknown, limits: AuditLimits): unknown {
  if (typeof value === 'string') return boundText(value, charsFor(key, limits));
  if (!Array.isArray(value)) return value;
  // `classes` is as long as the configuration's list of classes: bounded already. All other lists are names.
  if (value.length > 0 && typeof value[0] === 'object') return value;
  return boundNames(value as readonly string[], limits);
}

/**
 * The text for the `sql` field. `normalized` is the statement with its literals removed, undefined if that was not possible (it did not parse): then
 * nothing is written, never the full text in its stead. With `full`, a statement that names a password or a secret (CREATE ROLE ... PASSWORD,
 * CREATE USER MAPPING, CREATE SUBSCRIPTION, dblink's connection strings) is written normalised all the same.
 */
export function auditSql(mode: 'normalized' | 'full' | 'none', full: string, normalized: string | undefined): string | undefined {
  switch (mode) {
    case 'none': return undefined;
    case 'normalized': return normalized;
    case 'full': return /passw|secret/i.test(full) ? normalized : full;
  }
}

/**
 * JSON escapes C0 control characters, so a value cannot start a new line. It leaves alone what other readers still act on: DEL and C1 controls (a
 * terminal takes U+009B as the start of an escape sequence), U+0085, U+2028 and U+2029 (line ends to many readers), marks that reverse the order
 * of what is displayed, and lone surrogates (not UTF-8). They can stand only inside of strings, where `\uXXXX` means the same to a JSON reader.
 */
const unsafeInLine = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\p{Surrogate}]/u;
const unsafeInLineAll = new RegExp(unsafeInLine.source, 'gu');

export function escapeJsonLine(line: string): string {
  if (!unsafeInLine.test(line)) return line;
  return line.replace(unsafeInLineAll, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** `redis://:secret@host` and the like, in any text. The user name stays. */
export function maskUrlPasswords(text: string): string {
  return text.replace(/(:\/\/[^\s/:@"']*):[^\s/"']*@/g, '$1:***@');
}
