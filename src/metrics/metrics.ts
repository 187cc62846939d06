/** Rowgate's metrics on a registry of their own. Counting is adding to plain numbers; prom-client is called when somebody scrapes. */

import { monitorEventLoopDelay, type IntervalHistogram } from 'node:perf_hooks';
import { collectDefaultMetrics, Counter, Gauge, Registry, type Aggregator, type Metric } from 'prom-client';
import { BoundedLabels, type ConfiguredLabels } from './bounded-labels.ts';
import { metricTable, type CounterKey, type HistogramKey, type LabelsOf, type MetricDefinition, type MetricKey } from './metric-table.ts';
import { CounterFamily, PlainHistogram, RoleClassCounters, type CounterCell } from './plain-series.ts';
import { QuotaGauge, type QuotaGaugeOptions } from './quota-gauge.ts';

/** Counters that are the sum of `RoleClassCounters`, and are not counted by themselves. */
type RoleClassKey = 'rows' | 'units' | 'bytes';

/** Metrics of audit sinks, and which of a sink's numbers each shows. */
const SINK_NUMBERS = { auditSinkRecords: 'sent', auditSinkDropped: 'dropped', auditSinkFailures: 'failures', auditSinkWaiting: 'waiting' } as const;
type SinkKey = keyof typeof SINK_NUMBERS;

export interface SinkNumbers {
  readonly name: string;
  readonly sent: number;
  readonly dropped: number;
  readonly failures: number;
  readonly waiting: number;
}

/** Counters that count by themselves. */
export type PlainCounterKey = Exclude<CounterKey, RoleClassKey | SinkKey>;

/** What others count or know already; asked at each scrape. A source that throws or gives undefined leaves its series out. */
export interface MetricSources {
  readonly sessions?: () => number;
  readonly auditHealthy?: () => boolean;
  readonly auditRecords?: () => number;
  readonly auditErrors?: () => number;
  readonly auditRefused?: () => number;
  readonly analysisCacheHits?: () => number;
  readonly analysisCacheMisses?: () => number;
  readonly catalogAge?: () => number | undefined;
  readonly alertsSent?: () => number;
  readonly alertsDropped?: () => number;
  readonly alertFailures?: () => number;
  readonly auditSinks?: () => readonly SinkNumbers[];
}

type NumberSource = Exclude<keyof MetricSources, 'auditSinks'>;

export interface MetricsOptions {
  readonly version: string;
  readonly labels: ConfiguredLabels;
  readonly sources?: MetricSources;
  /** Adds a `principal` label to `rowgate_quota_used_ratio`: as many series as there are active principals. Default false. */
  readonly quotaByPrincipal?: boolean;
  readonly quotaGauge?: QuotaGaugeOptions;
  /** prom-client's `process_*` and `nodejs_*`. Default true. */
  readonly processMetrics?: boolean;
}

const eventLoopResolutionMs = 10;
const eventLoopQuantiles = [0.5, 0.99, 1] as const;

const AGGREGATORS: Partial<Record<MetricKey, Aggregator>> = {
  auditHealthy: 'min',
  catalogAge: 'max',
  configReloadSuccessful: 'min',
  configReloadTimestamp: 'min',
  buildInfo: 'first',
  eventLoopLag: 'max',
  quotaUsed: 'max',
};

interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export class Metrics {
  readonly registry = new Registry();
  readonly leaseRoundTrip = new PlainHistogram(metricTable.leaseRoundTrip.buckets);
  readonly analysis = new PlainHistogram(metricTable.analysis.buckets);
  readonly quotas: QuotaGauge;
  readonly #labels = new BoundedLabels();
  readonly #families = new Map<MetricKey, CounterFamily>();
  readonly #roleClasses = new Map<string, RoleClassCounters>();
  readonly #eventLoop: IntervalHistogram;
  #sources: MetricSources;
  #reload = { successful: false, successTimeMs: 0 };

  constructor(options: MetricsOptions) {
    this.quotas = new QuotaGauge(options.quotaGauge);
    this.#sources = options.sources ?? {};
    this.#labels.allow(options.labels);
    this.#eventLoop = monitorEventLoopDelay({ resolution: eventLoopResolutionMs });
    this.#eventLoop.enable();
    this.#registerCounters();
    this.#registerHistogram('leaseRoundTrip', this.leaseRoundTrip);
    this.#registerHistogram('analysis', this.analysis);
    this.#registerGauges(options);
    if (options.processMetrics ?? true) collectDefaultMetrics({ register: this.registry });
  }

  /** The series to hold and add to. Label values that the configuration does not name become `other`. */
  counter<K extends PlainCounterKey>(key: K, ...[labels]: keyof LabelsOf<K> extends never ? [] : [LabelsOf<K>]): CounterCell {
    return this.#family(key).cell(this.#bound(metricTable[key], labels ?? {}));
  }

  /** For events that are rare enough to look the series up each time. */
  count<K extends PlainCounterKey>(key: K, ...labels: keyof LabelsOf<K> extends never ? [] : [LabelsOf<K>]): void {
    this.counter(key, ...labels).value += 1;
  }

  roleClass(role: string, className: string): RoleClassCounters {
    const boundRole = this.#labels.bound('role', role);
    const boundClass = this.#labels.bound('class', className);
    const key = JSON.stringify([boundRole, boundClass]);
    let counters = this.#roleClasses.get(key);
    if (counters === undefined) {
      counters = new RoleClassCounters(boundRole, boundClass);
      this.#roleClasses.set(key, counters);
    }
    return counters;
  }

  /** After a reload. Cells that were handed out before keep their labels. */
  allowLabels(labels: ConfiguredLabels): void {
    this.#labels.allow(labels);
  }

  /** Adds to the sources, or takes the place of those with the same name. */
  addSources(sources: MetricSources): void {
    this.#sources = { ...this.#sources, ...sources };
  }

  configLoaded(successful: boolean, nowMs: number = Date.now()): void {
    this.#reload = { successful, successTimeMs: successful ? nowMs : this.#reload.successTimeMs };
  }

  get contentType(): string {
    return this.registry.contentType;
  }

  /** The text that Prometheus scrapes. */
  render(): Promise<string> {
    return this.registry.metrics();
  }

  close(): void {
    this.#eventLoop.disable();
    this.registry.clear();
  }

  #family(key: MetricKey): CounterFamily {
    let family = this.#families.get(key);
    if (family === undefined) {
      family = new CounterFamily();
      this.#families.set(key, family);
    }
    return family;
  }

  #bound(definition: MetricDefinition, labels: Readonly<Record<string, string>>): Record<string, string> {
    return Object.fromEntries(definition.labels.map((label) => [label, this.#labels.bound(label, labels[label] ?? '')]));
  }

  #registerCounters(): void {
    for (const [key, definition] of Object.entries(metricTable) as [MetricKey, MetricDefinition][]) {
      if (definition.type !== 'counter') continue;
      // A series without labels exists from the start, so that the first event is an increase and not a new series.
      if (definition.labels.length === 0) this.#family(key).cell({});
      for (const labels of definition.fromStart ?? []) this.#family(key).cell(labels);
      const read = (): Iterable<Sample> => this.#read(key);
      new Counter({
        name: definition.name,
        help: definition.help,
        labelNames: [...definition.labels],
        registers: [this.registry],
        collect() {
          empty(this, definition.labels);
          for (const { labels, value } of read()) this.inc({ ...labels }, value);
        },
      });
    }
  }

  #read(key: MetricKey): Iterable<Sample> {
    if (key === 'rows' || key === 'units' || key === 'bytes') {
      return [...this.#roleClasses.values()].map((counters) => ({ labels: { role: counters.role, class: counters.className }, value: counters[key] }));
    }
    if (key in SINK_NUMBERS) return this.#sinkSamples(key as SinkKey);
    if (key in this.#sources) {
      const value = this.#ask(key as NumberSource);
      return value === undefined ? [] : [{ labels: {}, value }];
    }
    return this.#family(key).cells();
  }

  #sinkSamples(key: SinkKey): readonly Sample[] {
    return (this.#sources.auditSinks?.() ?? []).map((sink) => ({ labels: { sink: sink.name }, value: sink[SINK_NUMBERS[key]] }));
  }

  #ask(key: NumberSource): number | undefined {
    try {
      const value = this.#sources[key]?.();
      if (typeof value === 'boolean') return value ? 1 : 0;
      return value !== undefined && Number.isFinite(value) ? value : undefined;
    } catch {
      return undefined; // One source that fails must not cost the whole scrape.
    }
  }

  #registerHistogram(key: HistogramKey, histogram: PlainHistogram): void {
    const { name, help } = metricTable[key];
    const get = () => {
      const counts = histogram.cumulative();
      const buckets = histogram.bounds.map((bound, i) => ({ metricName: `${name}_bucket`, labels: { le: bound }, value: counts[i] ?? 0 }));
      return Promise.resolve({
        name, help, type: 'histogram', aggregator: 'sum',
        values: [
          ...buckets,
          { metricName: `${name}_bucket`, labels: { le: '+Inf' }, value: histogram.count },
          { metricName: `${name}_sum`, labels: {}, value: histogram.sum },
          { metricName: `${name}_count`, labels: {}, value: histogram.count },
        ],
      });
    };
    // The registry asks of a metric no more than its name and `get`; prom-client's types ask for one of its classes.
    this.registry.registerMetric({ name, get, reset: () => undefined } as unknown as Metric);
  }

  #gauge(key: MetricKey, collect: (gauge: Gauge) => void, extraLabels: readonly string[] = []): void {
    const { name, help, labels } = metricTable[key];
    new Gauge({
      name,
      help,
      // Of several workers; a sum of ratios or ages would mean nothing.
      aggregator: AGGREGATORS[key] ?? 'sum',
      labelNames: [...labels, ...extraLabels],
      registers: [this.registry],
      collect() {
        empty(this, [...labels, ...extraLabels]);
        collect(this);
      },
    });
  }

  #registerGauges(options: MetricsOptions): void {
    for (const key of ['sessions', 'auditHealthy', 'catalogAge'] as const) {
      this.#gauge(key, (gauge) => {
        const value = this.#ask(key);
        if (value !== undefined) gauge.set(value);
      });
    }
    this.#gauge('auditSinkWaiting', (gauge) => {
      for (const { labels, value } of this.#sinkSamples('auditSinkWaiting')) gauge.set({ ...labels }, value);
    });
    this.#gauge('configReloadSuccessful', (gauge) => { gauge.set(this.#reload.successful ? 1 : 0); });
    this.#gauge('configReloadTimestamp', (gauge) => { gauge.set(this.#reload.successTimeMs / 1000); });
    this.#gauge('buildInfo', (gauge) => { gauge.set({ version: options.version }, 1); });
    this.#gauge('eventLoopLag', (gauge) => { this.#collectEventLoopLag(gauge); });
    const byPrincipal = options.quotaByPrincipal === true;
    this.#gauge('quotaUsed', (gauge) => { this.#collectQuotas(gauge, byPrincipal); }, byPrincipal ? ['principal'] : []);
  }

  #collectQuotas(gauge: Gauge, byPrincipal: boolean): void {
    const samples = byPrincipal ? this.quotas.samples() : [...this.quotas.highest()].map(([rule, ratio]) => ({ rule, ratio }));
    // Ascending: where several rules fall together under `other`, the highest stays.
    for (const { ratio, ...labels } of [...samples].sort((a, b) => a.ratio - b.ratio)) {
      gauge.set({ ...labels, rule: this.#labels.bound('rule', labels.rule) }, ratio);
    }
  }

  /** The histogram holds the time between two turns of a timer; what goes beyond the timer's own interval is lag. Two scrapers share what they see. */
  #collectEventLoopLag(gauge: Gauge): void {
    for (const quantile of eventLoopQuantiles) {
      const ns = quantile === 1 ? this.#eventLoop.max : this.#eventLoop.percentile(quantile * 100);
      gauge.set({ share: String(quantile) }, this.#eventLoop.count === 0 ? 0 : Math.max(0, ns / 1e9 - eventLoopResolutionMs / 1000));
    }
    this.#eventLoop.reset();
  }
}

/** reset() leaves a 0 where there are no labels: a value that nobody knows would read as 0. */
function empty(metric: Counter | Gauge, labels: readonly string[]): void {
  metric.reset();
  if (labels.length === 0) metric.remove();
}
