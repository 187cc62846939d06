import type { KeyLink } from '../sql/facts.ts';
import { saturate, type Tally } from './effects.ts';
import { columnIsUnsure, columnsAreUnsure } from './equality.ts';
import type { ReachIndex } from './reach-index.ts';
import { localEffects, type ResolvedUse } from './resolved-use.ts';

/** Tables, partitions and foreign tables give one subject a row; a view's row may stand for several. */
const LINKABLE_KINDS = new Set(['r', 'p', 'f']);

/** Adds the width that reading gives. References that are joined on the class's subject keys describe the same person and count once. */
export function addReadWidths(tally: Tally, uses: readonly ResolvedUse[], links: readonly KeyLink[], index: ReachIndex): void {
  const byClass = new Map<string, Map<number, number>>();
  for (const [position, resolved] of uses.entries()) {
    if (resolved.use.mode !== 'read') continue;
    for (const [className, width] of widthsOf(resolved, index)) {
      if (links.length === 0) {
        tally.widen(className, width);
        continue;
      }
      const widths = byClass.get(className) ?? new Map<number, number>();
      byClass.set(className, widths.set(position, width));
    }
  }
  for (const [className, widths] of byClass) tally.widen(className, groupedWidth(className, widths, uses, links, index));
}

/** All that the name can mean counts together: which of them it is, is not known. */
function widthsOf({ use, relations, local }: ResolvedUse, index: ReachIndex): ReadonlyMap<string, number> {
  const widths = new Map<string, number>();
  const include = (className: string, width: number): void => {
    widths.set(className, Math.max(widths.get(className) ?? 0, saturate(width * use.times)));
  };
  for (const relation of relations) for (const [className, effect] of index.readEffects(relation.oid).classes) include(className, effect.width);
  for (const made of local) for (const [className, effect] of localEffects(made).classes) include(className, effect.width);
  return widths;
}

function groupedWidth(className: string, widths: ReadonlyMap<number, number>, uses: readonly ResolvedUse[], links: readonly KeyLink[], index: ReachIndex): number {
  const groupOf = new Map([...widths.keys()].map((position) => [position, position]));
  const find = (position: number): number => {
    let root = position;
    for (let next = groupOf.get(root) ?? root; next !== root; next = groupOf.get(root) ?? root) root = next;
    groupOf.set(position, root);
    return root;
  };
  for (const [left, right] of fullyLinked(className, widths, uses, links, index)) groupOf.set(find(left), find(right));

  const groups = new Map<number, number>();
  for (const [position, width] of widths) groups.set(find(position), Math.max(groups.get(find(position)) ?? 0, width));
  let total = 0;
  for (const width of groups.values()) total = saturate(total + width);
  return total;
}

/** Pairs of uses whose subject keys are tied in every column, each to its counterpart. */
function fullyLinked(className: string, widths: ReadonlyMap<number, number>, uses: readonly ResolvedUse[], links: readonly KeyLink[], index: ReachIndex): readonly (readonly [number, number])[] {
  const tied = new Map<string, { readonly pair: readonly [number, number]; readonly columns: Set<number>; readonly needed: number }>();
  for (const link of links) {
    if (link.left === link.right || !widths.has(link.left) || !widths.has(link.right)) continue;
    const left = keyOf(className, uses[link.left], index);
    const right = keyOf(className, uses[link.right], index);
    if (left === undefined || right === undefined || left.length !== right.length) continue;
    const column = left.indexOf(link.leftColumn);
    if (column < 0 || right[column] !== link.rightColumn) continue;
    const at = (position: number, name: string): readonly [number, string] => [uses[position]?.relations[0]?.oid ?? 0, name];
    if (columnsAreUnsure(at(link.left, link.leftColumn), at(link.right, link.rightColumn), index)) continue;
    const [low, high] = link.left < link.right ? [link.left, link.right] : [link.right, link.left];
    const key = `${low}:${high}`;
    const entry = tied.get(key) ?? { pair: [low, high] as const, columns: new Set<number>(), needed: left.length };
    entry.columns.add(column);
    tied.set(key, entry);
  }
  return [...tied.values()].filter((entry) => entry.columns.size === entry.needed).map((entry) => entry.pair);
}

/** Groups of references that describe one person each, and what they add up to. */
export function linkedGroups(className: string, uses: readonly ResolvedUse[], links: readonly KeyLink[], index: ReachIndex): { readonly width: number; readonly groups: readonly (readonly number[])[] } {
  const widths = new Map([...uses.entries()].flatMap(([position, resolved]) => {
    const width = resolved.use.mode === 'read' ? widthsOf(resolved, index).get(className) : undefined;
    return width === undefined ? [] : [[position, width] as const];
  }));
  const groupOf = new Map([...widths.keys()].map((position) => [position, position]));
  for (const [left, right] of fullyLinked(className, widths, uses, links, index)) {
    const [from, to] = [groupOf.get(left) ?? left, groupOf.get(right) ?? right];
    for (const [position, group] of groupOf) if (group === from) groupOf.set(position, to);
  }
  const groups = new Map<number, number[]>();
  for (const [position, group] of groupOf) groups.set(group, [...(groups.get(group) ?? []), position]);
  return { width: groupedWidth(className, widths, uses, links, index), groups: [...groups.values()] };
}

export function keyOf(className: string, resolved: ResolvedUse | undefined, index: ReachIndex): readonly string[] | undefined {
  const [relation, ...others] = resolved?.relations ?? [];
  if (relation === undefined || others.length > 0 || (resolved?.local.length ?? 0) > 0 || !LINKABLE_KINDS.has(relation.kind)) return undefined;
  if (index.readEffects(relation.oid).classes.get(className)?.width !== 1) return undefined;
  const columns = index.members.subjects.get(relation.oid)?.find((key) => key.className === className)?.columns;
  return columns?.some((column) => columnIsUnsure(relation.oid, column, index)) === true ? undefined : columns;
}
