import type { CheckContext, ConfigPath } from './config-path.ts';
import { formatPath, getIn, isRecord } from './config-path.ts';
import { nearest, suggestion } from './nearest.ts';
import { parseDuration } from './units.ts';

const DIMENSIONS = ['rows', 'subjects', 'bytes'] as const;
const KEYS = ['class', 'window', 'scope', 'action', ...DIMENSIONS] as const;

/** Rules about the quotas of one role. */
export function checkQuotas(context: CheckContext, path: ConfigPath): void {
  const quotas = getIn(context.tree, path);
  if (!Array.isArray(quotas)) return;
  const firstOf = new Map<string, ConfigPath>();
  quotas.forEach((quota: unknown, index) => {
    if (!isRecord(quota)) return;
    const at = [...path, index];
    checkClassName(context, at, quota['class']);
    // A mistyped one is told as the unknown key that it is.
    const meant = Object.keys(quota).some((key) => !(KEYS as readonly string[]).includes(key) && DIMENSIONS.includes(nearest(key, KEYS) as (typeof DIMENSIONS)[number]));
    if (!meant && DIMENSIONS.every((dimension) => quota[dimension] === undefined)) {
      context.report(at, 'has no limit', { hint: 'give at least one of rows, subjects and bytes' });
    }
    if (quota['window'] === 'statement' && quota['scope'] === 'role') {
      context.report([...at, 'scope'], 'a statement belongs to one principal, so a statement window has no scope role');
    }
    checkDuplicates(context, at, quota, firstOf);
  });
}

function checkClassName(context: CheckContext, at: ConfigPath, name: unknown): void {
  const classes = getIn(context.tree, ['classes']);
  if (typeof name !== 'string' || !isRecord(classes)) return;
  const path = [...at, 'class'];
  if (!Object.hasOwn(classes, name)) {
    const shown = context.show(path);
    context.report(path, `no class is called ${shown ?? 'so'}`, {
      hint: suggestion(shown === undefined ? undefined : name, Object.keys(classes), 'classes'),
    });
    return;
  }
  if (getIn(context.tree, [...at, 'subjects']) === undefined) return;
  const relations = getIn(classes, [name, 'relations']);
  if (isRecord(relations) && !Object.values(relations).some((relation) => isRecord(relation) && relation['subject'] !== undefined)) {
    context.report([...at, 'subjects'], `no relation of class ${name} has a subject, so people cannot be counted`, {
      hint: 'say which column tells the person, e.g. { subject: id }',
    });
  }
}

/** Two limits on the same thing: only one of them can be meant. */
function checkDuplicates(context: CheckContext, at: ConfigPath, quota: Record<string, unknown>, firstOf: Map<string, ConfigPath>): void {
  const { class: className, window } = quota;
  if (typeof className !== 'string' || typeof window !== 'string') return;
  const windowMs = window === 'statement' ? window : parseDuration(window);
  if (windowMs === undefined) return;
  for (const dimension of DIMENSIONS) {
    if (quota[dimension] === undefined) continue;
    const rule = JSON.stringify([className, windowMs, dimension, quota['scope'] ?? 'principal']);
    const first = firstOf.get(rule);
    if (first === undefined) {
      firstOf.set(rule, at);
      continue;
    }
    context.report([...at, dimension], `this class, window and scope already have a limit in ${dimension}, at ${formatPath(first)}`, {
      at: 'key',
      hint: 'keep one of them',
    });
  }
}
