// What a run found, as tables of Markdown.
import { goals } from './goals.mjs';
import { ratio, spread } from './report.mjs';

/** @typedef {import('./report.mjs').Spread} Spread */

/** @param {Spread | null | undefined} value @param {number} digits */
function show(value, digits) {
  if (value === null || value === undefined) return '-';
  const text = (/** @type {number} */ number) => number.toFixed(digits);
  return value.min === value.max ? text(value.median) : `${text(value.median)} (${text(value.min)} to ${text(value.max)})`;
}

/** @param {readonly (readonly string[])[]} rows */
function markdown(rows) {
  const line = (/** @type {readonly string[]} */ row) => `| ${row.join(' | ')} |`;
  return [line(rows[0]), line(rows[0].map(() => '---')), ...rows.slice(1).map(line)].join('\n');
}

/** @param {Record<string, unknown>} record */
function facts(record) {
  return Object.entries(record).map(([name, value]) => `${name} ${String(value)}`).join(', ');
}

/** @param {Parameters<typeof goals>[0]} result */
function goalTable(result) {
  const rows = goals(result).map(({ work, measure, goal, found, digits, met }) => [work, measure, goal, show(found, digits), met ? 'yes' : 'no']);
  return rows.length === 0 ? '' : `${markdown([['work', 'measure', 'goal', 'found', 'reached'], ...rows])}\n`;
}

/** @param {ReturnType<typeof import('./report.mjs').summarise>} summary */
function workRows(summary) {
  return summary.flatMap(({ title, unit, values, ratios, addedLatency }) => {
    const query = unit === 'query';
    const { perSecond, cpu, redisCpu, p50us, p99us } = values;
    const digits = query ? 1 : 2;
    const rows = [
      [title, query ? 'queries/s' : 'MB/s', show(perSecond.direct, 0), show(perSecond.pgbouncer, 0), show(perSecond.rowgate, 0), show(ratios.throughputToPgbouncer, 2), show(ratios.throughputToDirect, 2)],
      ['', query ? 'proxy CPU, µs a query' : 'proxy CPU, s a GB', '-', show(cpu.pgbouncer, digits), show(cpu.rowgate, digits), show(ratios.cpuToPgbouncer, 2), '-'],
      ['', 'the same with Redis', '-', '-', `+ ${show(redisCpu.rowgate, digits)}`, show(ratios.cpuWithRedisToPgbouncer, 2), '-'],
    ];
    if (addedLatency === undefined) return rows;
    for (const [name, field, latency] of /** @type {const} */ ([['p50', 'p50us', p50us], ['p99', 'p99us', p99us]])) {
      const more = addedLatency[field];
      rows.push(['', `latency ${name}, µs`, show(latency.direct, 0), show(latency.pgbouncer, 0), show(latency.rowgate, 0), '', '']);
      rows.push(['', `added over direct, ${name}, µs`, '-', show(more.pgbouncer, 0), show(more.rowgate, 0), show(more.ratio, 2), '-']);
    }
    return rows;
  });
}

const STALLS = /** @type {const} */ ([['calmMs', 'nobody else at work'], ['largeMs', 'beside one statement of 1 MB'], ['deepMs', 'beside 5,000 parentheses'], ['manyMs', 'beside 100 of these at once']]);

/** @param {Record<string, import('./stall.mjs').Stalls[]>} stalled */
function stallRows(stalled) {
  return STALLS.map(([field, title]) => {
    const [direct, pgbouncer, rowgate] = [stalled.direct, stalled.pgbouncer, stalled.rowgate].map((list) => list.map((each) => each[field]));
    return [title, 'longest answer to SELECT 1, ms', ...[direct, pgbouncer, rowgate].map((list) => show(spread(list), 1)), show(ratio(rowgate, pgbouncer), 2), show(ratio(rowgate, direct), 2)];
  });
}

/** @param {ReturnType<typeof import('./report.mjs').summariseWorkers>} workers */
function workerTable(workers) {
  const head = ['2 workers, scripted server', 'measure', '1 worker, 1 core', '1 worker, 2 cores', '2 workers, 2 cores', '2 workers / 1 worker, a core each', '2 workers / 1 worker, 2 cores'];
  const rows = workers.flatMap(({ title, values, ratios }) => {
    const { oneCore, oneWorker, twoWorkers } = values;
    const each = (/** @type {'perSecond' | 'cpu' | 'loadCpu'} */ field, /** @type {number} */ digits) => [oneCore, oneWorker, twoWorkers].map((of) => show(of[field], digits));
    return [
      [title, 'statements/s', ...each('perSecond', 0), show(ratios.perCore, 2), show(ratios.onTwoCores, 2)],
      ['', 'the most that CPU time allows', '-', '-', '-', show(ratios.byCpu, 2), show(ratios.mostOnTwoCores, 2)],
      ['', 'CPU of Rowgate, µs a statement', ...each('cpu', 1), '-', '-'],
      ['', 'CPU of pgbench, server and Redis', ...each('loadCpu', 1), '-', '-'],
    ];
  });
  return `${markdown([head, ...rows])}\n`;
}

/**
 * @param {Parameters<typeof goals>[0] & { machine: Record<string, string>, settings: Record<string, unknown>, stalled?: Record<string, import('./stall.mjs').Stalls[]>,
 *   memory?: { sessions: number, pgbouncer: number, rowgate: number } }} result
 */
export function report(result) {
  const { machine, settings, summary, stalled, memory, workers } = result;
  const rows = [['work', 'measure', 'direct', 'PgBouncer', 'Rowgate', 'Rowgate / PgBouncer', 'Rowgate / direct'], ...workRows(summary), ...(stalled === undefined ? [] : stallRows(stalled))];
  if (memory !== undefined) {
    const kibibytes = (/** @type {number} */ bytes) => (bytes / 1024).toFixed(1);
    rows.push([`${memory.sessions} idle sessions`, 'KiB a session', '-', kibibytes(memory.pgbouncer), kibibytes(memory.rowgate), (memory.rowgate / memory.pgbouncer).toFixed(1), '-']);
  }
  const parts = [`${facts(machine)}\n${facts(settings)}\nMedian (least to most) of the rounds; ratios are taken round by round.\n`, goalTable(result)];
  if (rows.length > 1) parts.push(`${markdown(rows)}\n`);
  if (workers !== undefined) parts.push(workerTable(workers));
  return parts.filter((part) => part !== '').join('\n');
}

/** @param {{ machine: Record<string, string>, settings: Record<string, unknown>, list: readonly import('./workloads.mjs').Workload[], names: readonly string[], measures: import('./report.mjs').Measures }} result */
export function nodesReport({ machine, settings, list, names, measures }) {
  const [first = ''] = names;
  const head = ['work', 'measure', ...names.map((name) => `Node.js ${name}`), ...names.slice(1).map((name) => `${name} / ${first}`)];
  const rows = list.flatMap(({ key, title, unit }) => {
    const query = unit === 'query';
    const line = (/** @type {string} */ work, /** @type {string} */ measure, /** @type {'perSecond' | 'cpu'} */ field, /** @type {number} */ digits) => {
      const values = names.map((name) => measures[key][name].map((each) => each[field]));
      return [work, measure, ...values.map((list) => show(spread(list), digits)), ...values.slice(1).map((list) => show(ratio(list, values[0]), 2))];
    };
    return [line(title, query ? 'queries/s' : 'MB/s', 'perSecond', 0), line('', query ? 'CPU of Rowgate, µs a query' : 'CPU of Rowgate, s a GB', 'cpu', query ? 1 : 2)];
  });
  return `${facts(machine)}\n${facts(settings)}\nMedian (least to most) of the rounds; ratios are taken round by round.\n\n${markdown([head, ...rows])}\n`;
}

/**
 * A page with what stands between its marks `<!-- NAME -->` and `<!-- end of NAME -->` replaced.
 * @param {string} page @param {string} name @param {string} text
 */
export function replaceSection(page, name, text) {
  const [begin, end] = [`<!-- ${name} -->`, `<!-- end of ${name} -->`];
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from === -1 || to < from) throw new Error(`the page has no marks ${begin} and ${end}`);
  return `${page.slice(0, from + begin.length)}\n${text.trim()}\n${page.slice(to)}`;
}
