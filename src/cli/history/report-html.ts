/** A simulation as one HTML file that needs nothing else: tables, use against limit over time, distribution of daily use. */

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { blockedPeople, day, minute, percent } from './report-text.ts';
import type { Effect, PersonResult, SimulationResult } from './simulation.ts';
import { quantile, type RuleUse } from './usage-series.ts';

const MOST_PEOPLE = 500;
const BINS = 40;

export function simulationHtml(result: SimulationResult, title: string): string {
  const plots = result.use.map(plotOf);
  const isTouched = ({ simulated, inForce }: PersonResult): boolean => simulated.blocked + simulated.flagged + inForce.blocked + inForce.flagged > 0;
  const touched = result.people.filter(isTouched);
  const untouched = result.people.filter((person) => !isTouched(person));
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escapeHtml(title)}</title>
<style>${asset('uplot/dist/uPlot.min.css')}
${STYLE}</style></head><body>
<h1>${escapeHtml(title)}</h1>
<p>${result.statements} statements on protected data by ${result.people.length} people, ${day(result.fromMs)} to ${day(result.toMs)} (UTC).</p>
${table(['', 'in force then', 'new policy'], [
  ['statements blocked', result.blockedInForce, result.blocked],
  ['statements flagged', result.flaggedInForce, result.flagged],
  ['people blocked', blockedPeople(result, 'inForce'), blockedPeople(result, 'simulated')],
  ['share of statements blocked', percent(result.blockedInForce, result.statements), percent(result.blocked, result.statements)],
])}
<h2>Rules</h2>
${result.rules.length === 0 ? '<p>No rule would have blocked or flagged anything.</p>' : table(['rule', 'statements', 'people', 'first'], result.rules.map((rule) => [rule.ruleId, rule.statements, rule.people, minute(rule.firstMs)]))}
<h2>People</h2>
${touched.length === 0 ? '<p>Nobody would have been blocked or flagged.</p>' : peopleTable(touched)}
${untouched.length === 0 ? '' : `<details><summary>${untouched.length} who would not have been</summary>
${peopleTable(untouched)}</details>`}
<h2>Use against limit</h2>
<p>Per rule: the use of the quota's window in each hour, over those who were active in it; and how often a person's highest use of a day was how high.</p>
${plots.map((plot, index) => `<section><h3>${escapeHtml(plot.ruleId)} <small>limit ${plot.limit}</small></h3><div class="pair"><div id="t${index}"></div><div id="d${index}"></div></div></section>`).join('\n')}
<script>${asset('uplot/dist/uPlot.iife.min.js')}</script>
<script>const plots = ${JSON.stringify(plots).replaceAll('<', '\\u003c')};
${DRAW}</script>
</body></html>
`;
}

function peopleTable(people: readonly PersonResult[]): string {
  const rows = people.slice(0, MOST_PEOPLE).map((person) => [
    person.principal, person.roles.join(', ') || '(none)', person.statements, person.units, person.delivered,
    person.simulated.blocked, person.inForce.blocked, person.simulated.flagged, person.inForce.flagged, first(person.simulated), person.simulated.firstRule ?? '',
  ]);
  return `${table(['login', 'roles', 'statements', 'units taken', 'units let through', 'blocked (new)', 'blocked (then)', 'flagged (new)', 'flagged (then)', 'first (new)', 'by rule'], rows)}
${people.length > MOST_PEOPLE ? `<p>... and ${people.length - MOST_PEOPLE} more.</p>` : ''}`;
}

interface Plot {
  readonly ruleId: string;
  readonly limit: number;
  /** Seconds, median, 95 %, highest. */
  readonly hours: readonly [readonly number[], readonly number[], readonly number[], readonly number[]];
  /** Upper edge of a bin, person-days in it. */
  readonly days: readonly [readonly number[], readonly number[]];
}

function plotOf(use: RuleUse): Plot {
  return {
    ruleId: use.ruleId,
    limit: use.limit,
    hours: [use.hours.map((point) => point.hourMs / 1000), use.hours.map((point) => point.median), use.hours.map((point) => point.p95), use.hours.map((point) => point.most)],
    days: histogram(use),
  };
}

function histogram(use: RuleUse): Plot['days'] {
  const peaks = [...use.dayPeaks.values()].flatMap((days) => [...days.values()]).toSorted((a, b) => a - b);
  // One thief must not press everybody else into the first bin.
  const end = Math.max(use.limit * 1.1, Math.min(peaks.at(-1) ?? 1, quantile(peaks, 0.99) * 3), 1);
  // The limit is a bin's upper edge: what stayed within it stands before the line, what went past it behind.
  const width = use.limit / Math.max(1, Math.floor((use.limit * BINS) / end));
  const counts = Array.from({ length: BINS }, () => 0);
  for (const peak of peaks) {
    const bin = Math.min(BINS - 1, Math.max(0, Math.ceil(peak / width) - 1));
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  return [counts.map((_, bin) => (bin + 1) * width), counts];
}

function first(effect: Effect): string {
  return effect.firstMs === undefined ? '' : minute(effect.firstMs);
}

function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const cell = (value: string | number): string => (typeof value === 'number' ? `<td class="n">${value}</td>` : `<td>${escapeHtml(value)}</td>`);
  return `<table><thead><tr>${head.map((name) => `<th>${escapeHtml(name)}</th>`).join('')}</tr></thead><tbody>
${rows.map((row) => `<tr>${row.map(cell).join('')}</tr>`).join('\n')}</tbody></table>`;
}

function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

function asset(name: string): string {
  return readFileSync(createRequire(import.meta.url).resolve(name), 'utf8').replaceAll('</script', '<\\/script');
}

const STYLE = `body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1200px;padding:0 1rem;color:#1c2330}
table{border-collapse:collapse;margin:.5rem 0 1.5rem}th,td{padding:.25rem .8rem;border-bottom:1px solid #dde;text-align:left}td.n{text-align:right;font-variant-numeric:tabular-nums}
th{font-weight:600}td{white-space:nowrap}h3 small{font-weight:400;color:#667}.pair{display:flex;flex-wrap:wrap;gap:1rem}`;

const DRAW = `const line = (label, stroke, width, few) => ({ label, stroke, width, points: { show: few, size: 7 } });
const utc = (seconds) => uPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC');
const axis = { size: 75 };
plots.forEach((plot, i) => {
  const limit = plot.hours[0].map(() => plot.limit);
  // A line through one point is nothing to be seen.
  const few = plot.hours[0].length < 5;
  new uPlot({ title: 'use over time', width: 570, height: 260, tzDate: utc,
    scales: { x: { range: (u, min, max) => [min - 3600, max + 3600] }, y: { range: (u, min, max) => [0, Math.max(max, plot.limit) * 1.05 || 1] } }, axes: [{}, axis],
    series: [{}, line('median', '#2a78d6', 1.5, few), line('95 %', '#8a5cd1', 1.5, few), line('highest', '#d17a22', 1.5, few), { ...line('limit', '#c22', 2, few), dash: [6, 4] }] },
    [...plot.hours, limit], document.getElementById('t' + i));
  new uPlot({ title: 'highest use a day and person', width: 570, height: 260,
    scales: { x: { time: false, range: (u, min, max) => [0, max] }, y: { range: (u, min, max) => [0, Math.max(1, max * 1.05)] } }, axes: [{}, axis],
    series: [{ label: 'up to' }, { label: 'person-days', fill: '#2a78d633', stroke: '#2a78d6', points: { show: false }, paths: uPlot.paths.bars({ size: [1], align: -1 }) }],
    hooks: { draw: [(u) => { const x = u.valToPos(plot.limit, 'x', true); if (x < u.bbox.left || x > u.bbox.left + u.bbox.width) return;
      u.ctx.save(); u.ctx.strokeStyle = '#c22'; u.ctx.lineWidth = 2 * devicePixelRatio; u.ctx.setLineDash([6, 4]); u.ctx.beginPath(); u.ctx.moveTo(x, u.bbox.top); u.ctx.lineTo(x, u.bbox.top + u.bbox.height); u.ctx.stroke(); u.ctx.restore(); }] } },
    plot.days, document.getElementById('d' + i));
});`;
