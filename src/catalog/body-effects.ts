import { type BodyStatement, type RoutineBody, type StatementFacts, TRIGGER_ROW } from '../sql/facts.ts';
import { harmlessSetting } from '../sql/routine-settings.ts';
import { maySerialize } from '../sql/settings.ts';
import type { TypeRow } from './catalog-rows.ts';
import { type Effects, SINK, Tally } from './effects.ts';
import { markedOids } from './marks.ts';
import { resolveTypes } from './names.ts';
import type { ReachIndex } from './reach-index.ts';
import { MOST_QUESTIONS } from './repeats.ts';
import type { SearchPath } from './reach-types.ts';
import { type StatementTally, tallyStatement } from './statement-tally.ts';

const NO_NAMES: ReadonlySet<string> = new Set();

/** What a body may hold and still be told exactly. The rest (definitions, PREPARE, transaction control in SQL ...) changes what the session's names mean. */
const PLAIN_KINDS: ReadonlySet<StatementFacts['kind']> = new Set(['select', 'values', 'insert', 'update', 'delete', 'merge', 'call', 'notify', 'lock', 'set', 'reset', 'show', 'analyze']);

/** Statements that store nothing and are noticed all the same: by listeners, in pg_locks, in the counters of tables, in settings. */
const SIGNALS: ReadonlySet<StatementFacts['kind']> = new Set(['notify', 'lock', 'analyze', 'set', 'reset']);

/** Of these: whoever hears of them hears of whoever calls the code. */
const HEARD: ReadonlySet<StatementFacts['kind']> = new Set(['notify', 'lock', 'analyze']);

/** What running a body can reach and do. `name`: for reasons, `function crm.f`. */
export function bodyEffects(body: RoutineBody, name: string, index: ReachIndex, callersPath: SearchPath, transitionTables: ReadonlySet<string> = NO_NAMES): Effects {
  const path = body.searchPath ?? callersPath;
  const tally = new Tally();
  for (const reason of body.opaque) tally.refuse(`${name} ${reason}`);
  const typesOfVariables: TypeRow[] = [];
  for (const type of body.types) {
    const { builtin, types } = resolveTypes(index.snapshot, type, path);
    for (const row of types) tally.touch(index.types.typeEffects(row.oid), 1);
    if (!builtin && types.length === 0 && type.orNone !== true) tally.refuse(`${name} names a type that is not in the catalog`);
    typesOfVariables.push(...types);
  }
  const parts = body.statements.map((statement): readonly [BodyStatement, StatementTally] => {
    const reason = whyNotPlain(statement.facts);
    if (reason !== undefined) tally.refuse(`${name} ${reason}`);
    const told = tallyStatement(statement.facts, index, { searchPath: path, local: undefined, given: transitionTables, present: typesOfVariables });
    tally.add(told.tally.toEffects(), 1);
    return [statement, told];
  });
  const reads = tally.classes.size > 0;
  const copies = new Set<number>();
  const stores = new Set<number>();
  let storesPacked = tally.storesPacked;
  const dirty = spread(parts, reads ? body.filled : [], ({ tally: own }) => own.classes.size > 0);
  const isGiven = ({ facts }: BodyStatement): boolean => facts.relations.some((use) => use.schema === undefined && transitionTables.has(use.name));
  const given = spread(parts, [...body.arguments, ...body.filled], (_told, statement) => isGiven(statement));
  const chooses = parts.some(([{ decidesRow, mentions }, told]) =>
    decidesRow === true && (told.tally.classes.size > 0 || mentions.some((name) => dirty.has(name)) || (reads && mentions.includes('found'))));
  const chosen = chooses ? spread(parts, [...dirty, ...(body.guarded ?? [])], () => false) : dirty;
  tally.feedsRow = chosen.has(TRIGGER_ROW);
  // What a body writes can tell of what it has read without naming it: once a turn of a loop, or once a branch.
  const questions = parts.filter(([{ decides, mentions }, told]) =>
    (reads && mentions.includes('found')) || ((decides || body.catches) && (told.tally.classes.size > 0 || mentions.some((name) => dirty.has(name))))).length;
  const asked = tally.questions + questions;
  const tells = reads && (body.loops || asked > MOST_QUESTIONS);
  const steers = reads && questions > 0;
  const steered = new Set(tally.steered);
  if (tells) for (const oid of steered) copies.add(oid);
  for (const [statement, told] of parts) {
    const written = writtenBy(told, statement.facts, index);
    const signals = SIGNALS.has(statement.facts.kind) || (statement.facts.draws ?? 0) > 0 || (statement.facts.locks ?? []).length > 0;
    // Whether it runs at all tells, where what was read decides.
    if (signals && (tells || statement.mentions.some((name) => dirty.has(name)))) copies.add(SINK);
    else if (signals && (steers || HEARD.has(statement.facts.kind))) steered.add(SINK);
    // Whoever was told what was read may call code, or not, as it says.
    if (statement.mentions.some((name) => dirty.has(name))) for (const oid of told.tally.steered) copies.add(oid);
    if (written.size === 0) continue;
    const takesGiven = isGiven(statement) || statement.mentions.some((name) => given.has(name));
    if (steers || !takesGiven) for (const oid of written) steered.add(oid);
    storesPacked ||= takesGiven && gathers(statement.facts, told);
    const holdsRead = tells || told.tally.classes.size > 0 || statement.mentions.some((name) => dirty.has(name));
    const into = holdsRead ? copies : takesGiven ? stores : undefined;
    for (const oid of written) into?.add(oid);
  }
  const effects = tally.toEffects();
  // A variable can gather what a loop reads, row by row.
  const packs = body.loops && reads;
  return {
    ...effects,
    classes: packs ? new Map([...effects.classes].map(([cls, effect]) => [cls, { ...effect, packs: true }])) : effects.classes,
    copies: new Set([...effects.copies, ...copies]),
    stores,
    steered: tells ? new Set() : steered,
    questions: tells ? 0 : asked,
    storesPacked: storesPacked || (stores.size > 0 && effects.storesPacked),
    sink: effects.copies.has(SINK) || copies.has(SINK),
    volatile: effects.volatile || body.statements.some(({ facts }) => facts.modifies),
    // RAISE may use any SQLSTATE.
    impure: true,
    opensCursors: effects.opensCursors || (body.opensCursors && reads),
  };
}

/** Variables that hold something of `start`, or of what a statement brings: whatever order the statements run in. */
function spread(parts: readonly (readonly [BodyStatement, StatementTally])[], start: readonly string[], brings: (told: StatementTally, statement: BodyStatement) => boolean): ReadonlySet<string> {
  const reached = new Set(start);
  for (let before = -1; before !== reached.size;) {
    before = reached.size;
    for (const [statement, told] of parts) {
      const { mentions, assigns } = statement;
      if (assigns.length > 0 && (brings(told, statement) || mentions.some((name) => reached.has(name)))) for (const name of assigns) reached.add(name);
    }
  }
  return reached;
}

/** Whether one row can come to hold more than one that was given: anything but an INSERT of it as it is. */
function gathers(facts: StatementFacts, { tally }: StatementTally): boolean {
  return facts.kind !== 'insert' || facts.updatesOnConflict || tally.packs || tally.aggregated || tally.calls > 0 || facts.relations.filter((use) => use.mode === 'read').length > 1;
}

/** Where the statement puts what it is given: its targets, what their triggers write to, and what the functions that it calls do. */
function writtenBy({ tally, uses }: StatementTally, facts: StatementFacts, index: ReachIndex): ReadonlySet<number> {
  const written = new Set<number>([...tally.stores, ...markedOids(facts, uses, index)]);
  for (const { use, relations } of uses) if (use.mode === 'write') for (const relation of relations) written.add(relation.oid);
  if (tally.sink || (facts.draws ?? 0) > 1) written.add(SINK);
  return written;
}

function whyNotPlain(facts: StatementFacts): string | undefined {
  if (!PLAIN_KINDS.has(facts.kind)) return `runs ${facts.node}, which is not followed`;
  if (facts.derives || facts.changesCatalog) return 'makes a relation';
  const setting = facts.settings.find(({ name }) => !harmlessSetting(name));
  if (setting !== undefined) return `changes the setting ${setting.name}`;
  // The next transaction of the session would be another than the session's own statements tell.
  return facts.settings.some((change) => maySerialize(change, facts.kind === 'reset')) ? 'changes the isolation of transactions' : undefined;
}
