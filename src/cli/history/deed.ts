/** What the audit log says that somebody took: the one thing that a replay needs of a record. */

/** What one statement took of one class. */
export interface Taken {
  readonly className: string;
  readonly units: number;
  /** Distinct people; undefined where the log does not tell (then each unit counts as one). */
  readonly subjects: number | undefined;
  /** Keyed hashes of (some of) those people, as the log has them: a person who comes again in a window counts once. */
  readonly subjectKeys: readonly string[];
}

export interface Deed {
  /** When the statement ended, milliseconds since 1970. */
  readonly timeMs: number;
  readonly principal: string;
  /** Rowgate roles that the principal had then. */
  readonly roles: readonly string[];
  readonly bytes: number;
  readonly taken: readonly Taken[];
  /** What the policy in force said. */
  readonly decision: 'allow' | 'flag' | 'block' | 'terminate';
  readonly ruleId: string | undefined;
}

/** What may stand in a line of the log that is of interest here; cheaper to look for than to parse. */
const MARK = '"event":"statement_end"';

/** A line of the log as a deed; undefined if it tells of something else, or of a statement that reached no class. Throws `SyntaxError` for a line that is no JSON. */
export function readDeed(line: string): Deed | undefined {
  if (!line.includes(MARK)) return undefined;
  const record = JSON.parse(line) as Record<string, unknown>;
  if (record['event'] !== 'statement_end' || !Array.isArray(record['classes']) || record['classes'].length === 0) return undefined;
  const timeMs = Date.parse(String(record['time']));
  if (!Number.isFinite(timeMs)) return undefined;
  return {
    timeMs,
    principal: String(record['principal']),
    roles: Array.isArray(record['roles']) ? record['roles'].map(String) : [],
    bytes: amount(record['bytes']),
    taken: record['classes'].map((each) => readTaken(each as Record<string, unknown>)),
    decision: readDecision(record['decision']),
    ruleId: typeof record['rule_id'] === 'string' ? record['rule_id'] : undefined,
  };
}

function readTaken(each: Record<string, unknown>): Taken {
  const keys = each['subject_keys'];
  return {
    className: String(each['class']),
    units: amount(each['units']),
    subjects: typeof each['subjects'] === 'number' ? each['subjects'] : undefined,
    subjectKeys: Array.isArray(keys) ? keys.map(String) : [],
  };
}

function readDecision(value: unknown): Deed['decision'] {
  return value === 'flag' || value === 'block' || value === 'terminate' ? value : 'allow';
}

function amount(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) && value > 0 ? Math.floor(value) : 0;
}
