import { compilePattern } from './patterns.ts';
import type { ClassDefinition, DerivedRelations } from './reach-types.ts';
import { closure, type Snapshot } from './snapshot.ts';

/** The subject key of a relation as one class declares it. */
export interface SubjectKey {
  readonly className: string;
  readonly columns: readonly string[];
  /** Attribute numbers, in the order of `columns`, as RowDescription tells them. */
  readonly attnums: readonly number[];
}

export interface ClassMembers {
  /** Relations whose rows are the class's rows: what the patterns match, their partitions and their inheritance children, at any depth. */
  readonly classesOf: ReadonlyMap<number, ReadonlySet<string>>;
  readonly subjects: ReadonlyMap<number, readonly SubjectKey[]>;
  /** Relations that a pattern of the policy names. */
  readonly declared: ReadonlySet<number>;
  /** Classes that have a relation in this database. */
  readonly present: ReadonlySet<string>;
}

/** Tables, partitioned tables, views, materialised views and foreign tables: what holds rows for SELECT. */
const ROW_KINDS = new Set(['r', 'p', 'v', 'm', 'f']);

/** Exact names first, so that they win over globs when the subject key is looked for. */
function compileRelations(cls: ClassDefinition): readonly { readonly matches: (schema: string, name: string) => boolean; readonly exact: boolean; readonly subject: readonly string[] }[] {
  const compiled = cls.relations.map(({ pattern, subject }) => ({ ...compilePattern(pattern), subject }));
  return [...compiled.filter((entry) => entry.exact), ...compiled.filter((entry) => !entry.exact)];
}

export function findMembers(snapshot: Snapshot, classes: readonly ClassDefinition[], derived: DerivedRelations = new Map()): ClassMembers {
  const classesOf = new Map<number, Set<string>>();
  const keysOf = new Map<number, Map<string, readonly string[]>>();
  const present = new Set<string>();
  const declared = new Set<number>();

  const admit = (oid: number, className: string, subject: readonly string[]): void => {
    present.add(className);
    classesOf.set(oid, (classesOf.get(oid) ?? new Set()).add(className));
    const keys = keysOf.get(oid) ?? new Map<string, readonly string[]>();
    if (subject.length > 0 && !keys.has(className)) keysOf.set(oid, keys.set(className, subject));
  };

  for (const cls of classes) {
    const inherited: [number, readonly string[]][] = [];
    const patterns = compileRelations(cls);
    for (const relation of snapshot.relations.values()) {
      if (!ROW_KINDS.has(relation.kind)) continue;
      const matching = patterns.filter((pattern) => pattern.matches(relation.schema, relation.name));
      if (matching.length === 0) continue;
      const subject = matching.find((pattern) => pattern.subject.length > 0)?.subject ?? [];
      admit(relation.oid, cls.name, subject);
      declared.add(relation.oid);
      if (snapshot.children.has(relation.oid)) inherited.push([relation.oid, subject]);
    }
    // Children have their parents' columns, by name. What a pattern says of the child itself came first.
    for (const [oid, subject] of inherited) for (const child of closure(oid, snapshot.children)) admit(child, cls.name, subject);
  }
  const names = new Set(classes.map((cls) => cls.name));
  for (const [oid, copied] of derived) {
    if (!snapshot.relations.has(oid)) continue;
    // A class that the policy no longer has is no class.
    for (const copy of closure(oid, snapshot.children)) for (const { className } of copied) if (names.has(className)) admit(copy, className, []);
  }
  return { classesOf, declared, subjects: resolveKeys(snapshot, keysOf), present };
}

/** A key with a column that the relation lacks is no key: rows without one count as subjects of their own. */
function resolveKeys(snapshot: Snapshot, keysOf: ReadonlyMap<number, ReadonlyMap<string, readonly string[]>>): ReadonlyMap<number, readonly SubjectKey[]> {
  const subjects = new Map<number, readonly SubjectKey[]>();
  for (const [oid, keys] of keysOf) {
    const columns = snapshot.columns.get(oid);
    if (columns === undefined) continue;
    const resolved: SubjectKey[] = [];
    for (const [className, names] of keys) {
      const attnums = names.flatMap((name) => columns.attnums[columns.names.indexOf(name)] ?? []);
      if (attnums.length === names.length) resolved.push({ className, columns: names, attnums });
    }
    if (resolved.length > 0) subjects.set(oid, resolved);
  }
  return subjects;
}

/** Whether a relation of this name will be of the class as soon as it exists. */
export function willBeMember(cls: ClassDefinition, schema: string, name: string): boolean {
  return cls.relations.some(({ pattern }) => compilePattern(pattern).matches(schema, name));
}
