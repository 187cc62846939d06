/** WITH names: which of them a reference means, and how many times a CTE's body counts. */

export const MAX_TIMES = 1e9;

export interface Cte {
  readonly name: string;
  /** The CTE in whose body the WITH clause stands. */
  readonly parent: Cte | undefined;
  /** One entry for each reference: the CTE in whose body the reference stands. */
  readonly references: (Cte | undefined)[];
}

/** The names that a place sees, innermost first. */
export interface CteScope {
  readonly outer: CteScope | undefined;
  readonly names: ReadonlyMap<string, Cte>;
}

export function findCte(scope: CteScope | undefined, name: string): Cte | undefined {
  for (let at = scope; at !== undefined; at = at.outer) {
    const cte = at.names.get(name);
    if (cte !== undefined) return cte;
  }
  return undefined;
}

/**
 * Scopes as `transformWithClause` builds them (parse_cte.c). Without RECURSIVE a CTE sees those before it in the same WITH, and not
 * itself: `WITH customers AS (SELECT * FROM customers)` reads the table. With RECURSIVE it sees all of them and itself.
 */
export function scopesOf(
  ctes: readonly Cte[],
  recursive: boolean,
  outer: CteScope | undefined,
): { readonly bodies: readonly (CteScope | undefined)[]; readonly statement: CteScope } {
  const statement: CteScope = { outer, names: new Map(ctes.map((cte) => [cte.name, cte])) };
  if (recursive) return { bodies: ctes.map(() => statement), statement };
  const bodies: (CteScope | undefined)[] = [];
  let seen = outer;
  for (const cte of ctes) {
    bodies.push(seen);
    // A chain rather than a copy for each: a WITH may hold thousands.
    seen = { outer: seen, names: new Map([[cte.name, cte]]) };
  }
  return { bodies, statement };
}

export interface Multiplicity {
  /** How many copies of the CTE's body one evaluation of the statement has. */
  readonly timesOf: (cte: Cte | undefined) => number;
  /** A CTE reached itself. Valid once every CTE has been asked for. */
  readonly recursive: () => boolean;
}

/**
 * A body counts once for each reference, times the copies of the body in which that reference stands, and at least as often as
 * the body in which its WITH stands: PostgreSQL drops a CTE that nobody names, but counting too much is allowed.
 */
export function multiplicity(): Multiplicity {
  const known = new Map<Cte, number>();
  const open = new Set<Cte>();
  let cyclic = false;
  const timesOf = (cte: Cte | undefined): number => {
    if (cte === undefined) return 1;
    const times = known.get(cte);
    if (times !== undefined) return times;
    if (open.has(cte)) {
      cyclic = true;
      return 0;
    }
    open.add(cte);
    let total = 0;
    for (const place of cte.references) total = Math.min(MAX_TIMES, total + timesOf(place));
    open.delete(cte);
    total = Math.max(total, timesOf(cte.parent), 1);
    known.set(cte, total);
    return total;
  };
  return { timesOf, recursive: () => cyclic };
}
