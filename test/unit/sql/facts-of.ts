import { analyseText } from '../../../src/sql/analyse-text.ts';
import type { StatementFacts } from '../../../src/sql/facts.ts';
import { createPostgresParser } from '../../../src/sql/postgres-parser.ts';

const parser = await createPostgresParser();

/** Facts of every statement of a text that has to parse. */
export function allFacts(sql: string): readonly StatementFacts[] {
  const analysis = analyseText(sql, parser);
  if (analysis.kind !== 'statements') throw new Error(`${analysis.kind}: ${sql}\n${JSON.stringify(analysis)}`);
  return analysis.statements;
}

/** Facts of a text that is one statement. */
export function factsOf(sql: string): StatementFacts {
  const [facts, ...more] = allFacts(sql);
  if (facts === undefined || more.length > 0) throw new Error(`not one statement: ${sql}`);
  return facts;
}

function dotted({ schema, name }: { readonly schema: string | undefined; readonly name: string }): string {
  return schema === undefined ? name : `${schema}.${name}`;
}

/** `read customers`, `write s.t`, `read customers x3`: in the order of the text. */
export function relationsOf(facts: StatementFacts): string[] {
  return facts.relations.map((use) => `${use.mode} ${dotted(use)}${use.times === 1 ? '' : ` x${use.times}`}`);
}

/** `a.id = b.id`, with the relations' names and their places if a name is there twice: `t#0.id = t#1.id`. */
export function linksOf(facts: StatementFacts): string[] {
  const label = (index: number): string => {
    const use = facts.relations[index];
    if (use === undefined) throw new Error(`link to relation ${index}`);
    const same = facts.relations.filter((other) => other.mode === 'read' && other.name === use.name && other.schema === use.schema);
    return same.length > 1 ? `${dotted(use)}#${same.indexOf(use)}` : dotted(use);
  };
  return facts.links.map(({ left, leftColumn, right, rightColumn }) => `${label(left)}.${leftColumn} = ${label(right)}.${rightColumn}`);
}

export function functionsOf(facts: StatementFacts): string[] {
  return facts.functions.map((use) => `${dotted(use)}${use.window ? ' over' : ''}${use.times === 1 ? '' : ` x${use.times}`}`);
}

export function operatorsOf(facts: StatementFacts): string[] {
  return facts.operators.map(dotted).toSorted();
}

export function typesOf(facts: StatementFacts): string[] {
  return facts.types.map(dotted).toSorted();
}

export function definesOf(facts: StatementFacts): string[] {
  return facts.defines.map(dotted).toSorted();
}
