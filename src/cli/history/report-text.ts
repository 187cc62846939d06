/** A simulation as tables for a terminal. */

import Table from 'cli-table3';
import type { Effect, PersonResult, SimulationResult } from './simulation.ts';

const PLAIN = {
  chars: { top: '', 'top-mid': '', 'top-left': '', 'top-right': '', bottom: '', 'bottom-mid': '', 'bottom-left': '', 'bottom-right': '', left: '', 'left-mid': '', mid: '', 'mid-mid': '', right: '', 'right-mid': '', middle: '  ' },
  style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
};

type Align = 'left' | 'right';

/** A table without lines; columns of numbers to the right. */
export function plainTable(head: readonly string[], rows: readonly (readonly (string | number)[])[], right: ReadonlySet<number>): string {
  const table = new Table({ ...PLAIN, head: [...head], colAligns: head.map((_, index): Align => (right.has(index) ? 'right' : 'left')) });
  for (const row of rows) table.push(row.map(String));
  return table.toString().split('\n').map((line) => line.trimEnd()).join('\n');
}

export function simulationText(result: SimulationResult, most: number): string {
  const lines = [
    `${result.statements} statements on protected data by ${result.people.length} people, ${day(result.fromMs)} to ${day(result.toMs)}`,
    '',
    plainTable(
      ['', 'in force then', 'new policy'],
      [
        ['statements blocked', result.blockedInForce, result.blocked],
        ['statements flagged', result.flaggedInForce, result.flagged],
        ['people blocked', blockedPeople(result, 'inForce'), blockedPeople(result, 'simulated')],
        ['share of statements blocked', percent(result.blockedInForce, result.statements), percent(result.blocked, result.statements)],
      ],
      new Set([1, 2]),
    ),
  ];
  if (result.rules.length > 0) {
    lines.push('', 'By rule of the new policy:', plainTable(
      ['rule', 'statements', 'people', 'first'],
      result.rules.map((rule) => [rule.ruleId, rule.statements, rule.people, minute(rule.firstMs)]),
      new Set([1, 2]),
    ));
  }
  const touched = result.people.filter((person) => person.simulated.blocked + person.simulated.flagged + person.inForce.blocked + person.inForce.flagged > 0);
  if (touched.length === 0) lines.push('', 'Nobody would have been blocked or flagged.');
  else {
    lines.push('', 'Who would have been blocked or flagged:', plainTable(
      ['login', 'roles', 'statements', 'units taken', 'units let through', 'blocked', '(then)', 'flagged', '(then)', 'first', 'by rule'],
      touched.slice(0, most).map(personRow),
      new Set([2, 3, 4, 5, 6, 7, 8]),
    ));
    if (touched.length > most) lines.push(`... and ${touched.length - most} more (--top, --json)`);
  }
  return lines.join('\n');
}

function personRow(person: PersonResult): (string | number)[] {
  const { simulated, inForce } = person;
  return [
    person.principal, person.roles.join(', ') || '(none)', person.statements, person.units, person.delivered,
    simulated.blocked, inForce.blocked, simulated.flagged, inForce.flagged, firstOf(simulated), simulated.firstRule ?? '',
  ];
}

export function blockedPeople(result: SimulationResult, which: 'inForce' | 'simulated'): number {
  return result.people.filter((person) => person[which].blocked > 0).length;
}

function firstOf(effect: Effect): string {
  return effect.firstMs === undefined ? '' : minute(effect.firstMs);
}

export function day(timeMs: number): string {
  return Number.isFinite(timeMs) ? new Date(timeMs).toISOString().slice(0, 10) : '-';
}

export function minute(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 16).replace('T', ' ');
}

export function percent(part: number, whole: number): string {
  if (whole === 0) return '0 %';
  const share = (100 * part) / whole;
  return `${share !== 0 && share < 0.01 ? share.toPrecision(1) : share.toFixed(2)} %`;
}
