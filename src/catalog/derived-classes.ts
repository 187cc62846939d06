/** Classes that a relation holds copies of. */

import type { DerivedClass } from './reach-types.ts';

/** Whichever says more, class by class. */
export function mergeDerived(a: readonly DerivedClass[], b: readonly DerivedClass[]): readonly DerivedClass[] {
  const merged = new Map(a.map((each) => [each.className, each]));
  for (const each of b) {
    const other = merged.get(each.className);
    merged.set(each.className, other === undefined ? each : { className: each.className, width: Math.max(each.width, other.width), packs: each.packs || other.packs });
  }
  return [...merged.values()].sort((x, y) => (x.className < y.className ? -1 : 1));
}

export function sameDerived(a: readonly DerivedClass[], b: readonly DerivedClass[]): boolean {
  return a.length === b.length && a.every((each, i) => each.className === b[i]?.className && each.width === b[i].width && each.packs === b[i].packs);
}
