import { bothAttached, NOTHING_ATTACHED } from '../catalog/attached.ts';
import { mergeDerived } from '../catalog/derived-classes.ts';
import { bothTraces, NO_TRACES, type BookTraces, UNKNOWN_TRACES } from '../catalog/bookkeeping.ts';
import type { ClassReach, CopyTargets, Reach } from '../catalog/reach-types.ts';

/** What two parts of one statement reach together: an EXECUTE and the statement that it names, a FETCH and its cursor. */
export function unionReach(a: Reach, b: Reach): Reach {
  const classes = new Map<string, ClassReach>(a.classes.map((cls) => [cls.className, cls]));
  for (const cls of b.classes) {
    const other = classes.get(cls.className);
    classes.set(cls.className, other === undefined ? cls : {
      className: cls.className,
      width: Math.max(1, cls.width + other.width),
      packs: cls.packs || other.packs,
      aggregated: cls.aggregated || other.aggregated,
      calls: cls.calls + other.calls,
      relations: [...new Set([...cls.relations, ...other.relations])].sort(),
    });
  }
  return {
    classes: [...classes.values()].sort((x, y) => (x.className < y.className ? -1 : 1)),
    opaque: [...a.opaque, ...b.opaque],
    categories: new Set([...a.categories, ...b.categories]),
    relations: [...new Set([...a.relations, ...b.relations])].sort(),
    oids: new Set([...a.oids, ...b.oids]),
    sink: a.sink || b.sink,
    traces: bothTraces(a.traces ?? NO_TRACES, b.traces ?? NO_TRACES),
    rekeys: a.rekeys === true || b.rekeys === true,
    asideBytes: (a.asideBytes ?? 0) + (b.asideBytes ?? 0),
    runsAtParse: a.runsAtParse === true || b.runsAtParse === true,
    copies: unionCopies(a.copies, b.copies),
    attached: bothAttached(a.attached ?? NOTHING_ATTACHED, b.attached),
    opensCursors: a.opensCursors || b.opensCursors,
    readOnly: a.readOnly && b.readOnly,
    pure: a.pure && b.pure,
  };
}

/** What holds whichever of the two is true: a cursor that was declared under other definitions. */
export function eitherReach(a: Reach, b: Reach): Reach {
  const both = unionReach(a, b);
  const most = (name: string, value: (cls: ClassReach) => number): number => Math.max(...[...a.classes, ...b.classes].filter((cls) => cls.className === name).map(value));
  const proven = (name: string, proof: 'onePerson' | 'plainSums'): boolean => [...a.classes, ...b.classes].every((cls) => cls.className !== name || cls[proof] === true);
  const traces = { counters: Math.max(a.traces?.counters ?? 0, b.traces?.counters ?? 0), locks: a.traces?.locks === true || b.traces?.locks === true };
  return { ...both, traces, classes: both.classes.map((cls) => ({ ...cls, mostRows: undefined, onePerson: proven(cls.className, 'onePerson'), plainSums: proven(cls.className, 'plainSums'), width: most(cls.className, (each) => each.width), calls: most(cls.className, (each) => each.calls) })) };
}

function unionCopies(a: CopyTargets | undefined, b: CopyTargets | undefined): CopyTargets | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return {
    oids: [...new Set([...a.oids, ...b.oids])],
    names: [...a.names, ...b.names],
    classes: mergeDerived(a.classes, b.classes),
    reshapes: a.reshapes || b.reshapes,
  };
}

export const NO_REACH: Reach = {
  classes: [],
  opaque: [],
  categories: new Set(),
  relations: [],
  oids: new Set(),
  sink: false,
  copies: undefined,
  opensCursors: false,
  readOnly: true,
  pure: true,
};

/** Every class in full, charged by bytes: for what Rowgate cannot read. `denied` says whether rules against opaque statements apply. `traces`: what it may leave in the server's books, where that is known. */
export function opaqueReach(classNames: readonly string[], reason: string, denied: boolean, traces: BookTraces = UNKNOWN_TRACES): Reach {
  return {
    classes: [...classNames].sort().map((className) => ({ className, width: 1, packs: true, aggregated: true, calls: 0, relations: [] })),
    opaque: [reason],
    categories: new Set(denied ? ['opaque', 'derived_copy'] : []),
    relations: [],
    oids: new Set(),
    sink: false,
    copies: undefined,
    traces,
    opensCursors: false,
    readOnly: false,
    pure: false,
  };
}

/** Everything that `actual` costs is in `judged`. */
export function covers(judged: Reach, actual: Reach): boolean {
  return actual.classes.every((cls) =>
    judged.classes.some(
      (have) => have.className === cls.className && have.width >= cls.width && (have.packs || !cls.packs) && (have.packs || have.aggregated || !cls.aggregated)
        && (have.mostRows ?? Infinity) >= (cls.mostRows ?? Infinity) && (have.onePerson !== true || cls.onePerson === true) && (have.plainSums !== true || cls.plainSums === true),
    ),
  ) && (judged.asideBytes ?? 0) >= (actual.asideBytes ?? 0);
}
