// Medians, spread and ratios of the samples.

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
export function ratio(above, below) {
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
      // In a round that something else disturbed, a proxy may seem to add nothing: then there is no ratio.
      const positive = over(pgbouncer).map((value) => (value > 0 ? value : NaN));
      return { rowgate: spread(over(rowgate)), pgbouncer: spread(over(pgbouncer)), ratio: ratio(over(rowgate), positive) };
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

/** @param {readonly import('./workers.mjs').WorkerWork[]} works */
export function summariseWorkers(works) {
  return works.map(({ key, title, measures }) => {
    const { oneCore, oneWorker, twoWorkers } = measures;
    const rate = (/** @type {typeof oneCore} */ list) => list.map(({ perSecond }) => perSecond);
    const all = (/** @type {typeof oneCore} */ list) => list.map(({ cpu, loadCpu }) => cpu + loadCpu);
    return {
      key,
      title,
      values: Object.fromEntries(Object.entries(measures).map(([name, list]) => [name, {
        perSecond: spread(rate(list)),
        cpu: spread(list.map(({ cpu }) => cpu)),
        loadCpu: spread(list.map(({ loadCpu }) => loadCpu)),
      }])),
      ratios: {
        /** A worker and all that loads it on one core, to two of these on two. */
        perCore: ratio(rate(twoWorkers), rate(oneCore)),
        onTwoCores: ratio(rate(twoWorkers), rate(oneWorker)),
        /** By CPU time alone, whoever else had the cores: both of them busy without a pause. */
        byCpu: ratio(all(oneCore).map((us) => us * 2), all(twoWorkers)),
        /** What both cores could do if they never paused, load included, to what the one worker did. */
        mostOnTwoCores: ratio(all(twoWorkers).map((us) => 2e6 / us), rate(oneWorker)),
      },
    };
  });
}
