// Medians, spread and ratios of the samples, as JSON and as a table.

/** @typedef {{ median: number, min: number, max: number }} Spread */
/**
 * What one round of one workload gave for one target. CPU in microseconds a query or seconds a GB.
 * @typedef {object} Measure
 * @property {number} perSecond  queries or MB
 * @property {number | null} cpu  of the proxy; null for a direct connection
 * @property {number} redisCpu
 * @property {number} databaseCpu
 * @property {number} [p50us]
 * @property {number} [p99us]
 */
/** @typedef {Record<string, Record<string, Measure[]>>} Measures  by workload key, then target */

export const TARGETS = /** @type {const} */ (['direct', 'pgbouncer', 'rowgate']);

/**
 * @param {readonly (number | null | undefined)[]} values
 * @returns {Spread | null}
 */
export function spread(values) {
  const sorted = values.filter((value) => typeof value === 'number' && Number.isFinite(value)).sort((a, b) => a - b);
  if (sorted.length === 0) return null;
  const middle = sorted.length >> 1;
  return { median: sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2, min: sorted[0], max: sorted[sorted.length - 1] };
}

/**
 * The median of the rounds' ratios: both sides of a ratio were measured next to each other.
 * @param {readonly (number | null | undefined)[]} above
 * @param {readonly (number | null | undefined)[]} below
 */
function ratio(above, below) {
  return spread(above.map((value, i) => (value ?? NaN) / (below[i] ?? NaN)));
}

/**
 * @param {readonly import('./workloads.mjs').Workload[]} workloads
 * @param {Measures} measures
 */
export function summarise(workloads, measures) {
  return workloads.map(({ key, title, unit }) => {
    const of = measures[key];
    /** @param {keyof Measure} field */
    const each = (field) => Object.fromEntries(TARGETS.map((target) => [target, of[target].map((measure) => measure[field])]));
    const names = /** @type {const} */ (['perSecond', 'cpu', 'redisCpu', 'databaseCpu', 'p50us', 'p99us']);
    const values = Object.fromEntries(names.map((name) => [name, Object.fromEntries(Object.entries(each(name)).map(([target, list]) => [target, spread(list)]))]));
    const rate = each('perSecond');
    const cpu = each('cpu');
    const withRedis = of.rowgate.map((measure) => (measure.cpu ?? NaN) + measure.redisCpu);
    /** @param {'p50us' | 'p99us'} field */
    const added = (field) => {
      const { direct, pgbouncer, rowgate } = each(field);
      const over = (/** @type {typeof direct} */ list) => list.map((value, i) => (value ?? NaN) - (direct[i] ?? NaN));
      return { rowgate: spread(over(rowgate)), pgbouncer: spread(over(pgbouncer)), ratio: ratio(over(rowgate), over(pgbouncer)) };
    };
    return {
      key,
      title,
      unit,
      values,
      ratios: {
        throughputToDirect: ratio(rate.rowgate, rate.direct),
        throughputToPgbouncer: ratio(rate.rowgate, rate.pgbouncer),
        cpuToPgbouncer: ratio(cpu.rowgate, cpu.pgbouncer),
        cpuWithRedisToPgbouncer: ratio(withRedis, cpu.pgbouncer),
      },
      addedLatency: of.direct[0]?.p50us === undefined ? undefined : { p50us: added('p50us'), p99us: added('p99us') },
    };
  });
}

/** @param {Spread | null | undefined} value @param {number} digits */
function show(value, digits) {
  if (value === null || value === undefined) return '-';
  const text = (/** @type {number} */ number) => number.toFixed(digits);
  return `${text(value.median)} (${text(value.min)} to ${text(value.max)})`;
}

/** @param {readonly (readonly string[])[]} rows */
function markdown(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const line = (/** @type {readonly string[]} */ row) => `| ${row.map((cell, column) => cell.padEnd(widths[column])).join(' | ')} |`;
  return [line(rows[0]), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...rows.slice(1).map(line)].join('\n');
}

/** @param {{ machine: Record<string, string>, settings: Record<string, unknown>, summary: ReturnType<typeof summarise>, stalled?: Record<'direct' | 'pgbouncer' | 'rowgate', import('./stall.mjs').Stalls>, memory?: { sessions: number, pgbouncer: number, rowgate: number } }} result */
export function table({ machine, settings, summary, stalled, memory }) {
  const head = ['work', 'measure', 'direct', 'PgBouncer', 'Rowgate', 'Rowgate / PgBouncer', 'Rowgate / direct'];
  const rows = [head];
  for (const { title, unit, values, ratios, addedLatency } of summary) {
    const query = unit === 'query';
    const { perSecond, cpu, redisCpu, p50us, p99us } = values;
    rows.push([title, query ? 'queries/s' : 'MB/s', show(perSecond.direct, 0), show(perSecond.pgbouncer, 0), show(perSecond.rowgate, 0), show(ratios.throughputToPgbouncer, 2), show(ratios.throughputToDirect, 2)]);
    const digits = query ? 1 : 2;
    rows.push(['', query ? 'proxy CPU, µs a query' : 'proxy CPU, s a GB', '-', show(cpu.pgbouncer, digits), show(cpu.rowgate, digits), show(ratios.cpuToPgbouncer, 2), '-']);
    rows.push(['', 'the same with Redis', '-', '-', `+ ${show(redisCpu.rowgate, digits)}`, show(ratios.cpuWithRedisToPgbouncer, 2), '-']);
    if (addedLatency === undefined) continue;
    for (const [name, field, latency] of /** @type {const} */ ([['p50', 'p50us', p50us], ['p99', 'p99us', p99us]])) {
      const more = addedLatency[field];
      rows.push(['', `latency ${name}, µs`, show(latency.direct, 0), show(latency.pgbouncer, 0), show(latency.rowgate, 0), '', '']);
      rows.push(['', `added over direct, ${name}, µs`, '-', show(more.pgbouncer, 0), show(more.rowgate, 0), show(more.ratio, 2), '-']);
    }
  }
  for (const [field, title] of stalled === undefined ? [] : /** @type {const} */ ([['calmMs', 'nobody else at work'], ['largeMs', 'beside one statement of 1 MB'], ['deepMs', 'beside 5,000 parentheses'], ['manyMs', 'beside 100 of these at once']])) {
    const { direct, pgbouncer, rowgate } = /** @type {NonNullable<typeof stalled>} */ (stalled);
    rows.push([title, 'longest answer to SELECT 1, ms', direct[field].toFixed(1), pgbouncer[field].toFixed(1), rowgate[field].toFixed(1), (rowgate[field] / pgbouncer[field]).toFixed(2), (rowgate[field] / direct[field]).toFixed(2)]);
  }
  if (memory !== undefined) {
    const kibibytes = (/** @type {number} */ bytes) => (bytes / 1024).toFixed(1);
    rows.push([`${memory.sessions} idle sessions`, 'KiB a session', '-', kibibytes(memory.pgbouncer), kibibytes(memory.rowgate), (memory.rowgate / memory.pgbouncer).toFixed(1), '-']);
  }
  const facts = (/** @type {Record<string, unknown>} */ record) => Object.entries(record).map(([name, value]) => `${name} ${String(value)}`).join(', ');
  return `${facts(machine)}\n${facts(settings)}\nMedian (least to most) of the rounds; ratios are taken round by round.\n\n${markdown(rows)}\n`;
}
