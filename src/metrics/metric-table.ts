/**
 * Every metric of Rowgate's own. Prometheus' conventions: base units (seconds, bytes, ratios of 1), counters end in `_total`. Labels hold only what
 * the configuration names (roles, classes, rules) or a fixed list; anything else is counted under `other`, so no client can make new series.
 */

export type LabelName = 'kind' | 'decision' | 'role' | 'class' | 'rule' | 'reason' | 'share' | 'version' | 'principal' | 'event' | 'sink' | 'sqlstate';

export interface MetricDefinition {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly LabelName[];
  /** Labels of series that are there before their first event, as those without labels are. */
  readonly fromStart?: readonly Readonly<Partial<Record<LabelName, string>>>[];
  /** Upper bounds of a histogram's buckets. */
  readonly buckets?: readonly number[];
}

export const metricTable = {
  sessions: { name: 'rowgate_sessions', type: 'gauge', help: 'Client sessions that are open now.', labels: [] },
  sessionsTotal: { name: 'rowgate_sessions_total', type: 'counter', help: 'Client sessions that were accepted and logged in.', labels: [] },
  authFailures: { name: 'rowgate_auth_failures_total', type: 'counter', help: 'Logins that failed, by SQLSTATE.', labels: ['sqlstate'], fromStart: [{ sqlstate: '28P01' }] },
  tlsFailures: { name: 'rowgate_tls_failures_total', type: 'counter', help: 'TLS handshakes with clients that failed.', labels: [] },
  cancelRequests: { name: 'rowgate_cancel_requests_total', type: 'counter', help: 'Cancel requests from clients.', labels: [] },
  cancelRequestsRefused: { name: 'rowgate_cancel_requests_refused_total', type: 'counter', help: 'Cancel requests with a key that no server behind Rowgate gave, or too many of them.', labels: [] },
  statements: { name: 'rowgate_statements_total', type: 'counter', help: 'Statements that ended, by kind and decision.', labels: ['kind', 'decision'] },
  opaqueStatements: { name: 'rowgate_opaque_statements_total', type: 'counter', help: 'Statements charged to every class, as they could not be resolved.', labels: [] },
  rows: { name: 'rowgate_rows_total', type: 'counter', help: 'Protected rows delivered to clients.', labels: ['role', 'class'] },
  units: { name: 'rowgate_units_total', type: 'counter', help: 'Units that delivered rows and statements were charged with.', labels: ['role', 'class'] },
  bytes: { name: 'rowgate_bytes_total', type: 'counter', help: 'Bytes of protected rows delivered to clients.', labels: ['role', 'class'] },
  decisions: { name: 'rowgate_decisions_total', type: 'counter', help: 'Decisions about statements, by role.', labels: ['role', 'decision'] },
  refusals: { name: 'rowgate_refusals_total', type: 'counter', help: 'Statements refused or cut off, by rule.', labels: ['rule'] },
  flags: { name: 'rowgate_flags_total', type: 'counter', help: 'Events raised by rules that flag, by rule.', labels: ['rule'] },
  quotaUsed: { name: 'rowgate_quota_used_ratio', type: 'gauge', help: 'Used part of a quota, the highest of all principals seen lately.', labels: ['rule'] },
  leaseRoundTrip: {
    name: 'rowgate_lease_round_trip_seconds', type: 'histogram', help: 'Time that the counter store took to answer a reservation.', labels: [],
    buckets: [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5],
  },
  storeErrors: { name: 'rowgate_store_errors_total', type: 'counter', help: 'Calls to the counter store that failed.', labels: [] },
  analysis: {
    name: 'rowgate_analysis_seconds', type: 'histogram', help: 'Time to parse and resolve a statement that was not in the cache.', labels: [],
    buckets: [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5],
  },
  analysisCacheHits: { name: 'rowgate_analysis_cache_hits_total', type: 'counter', help: 'Statements whose facts were in the cache.', labels: [] },
  analysisCacheMisses: { name: 'rowgate_analysis_cache_misses_total', type: 'counter', help: 'Statements that had to be analysed.', labels: [] },
  auditRecords: { name: 'rowgate_audit_records_total', type: 'counter', help: 'Records written to the audit log.', labels: [] },
  auditErrors: { name: 'rowgate_audit_errors_total', type: 'counter', help: 'Failures of the audit log.', labels: [] },
  auditRefused: { name: 'rowgate_audit_refused_records_total', type: 'counter', help: 'Records that the audit log could not take.', labels: [] },
  auditHealthy: { name: 'rowgate_audit_healthy', type: 'gauge', help: '1 if the audit log takes records, else 0.', labels: [] },
  auditSinkRecords: { name: 'rowgate_audit_sink_records_total', type: 'counter', help: 'Audit records that a sink has taken.', labels: ['sink'] },
  auditSinkDropped: { name: 'rowgate_audit_sink_dropped_total', type: 'counter', help: 'Audit records that a sink did not get: they did not fit into its buffer, or it refused them. The file has them.', labels: ['sink'] },
  auditSinkFailures: { name: 'rowgate_audit_sink_failures_total', type: 'counter', help: 'Deliveries to a sink that failed.', labels: ['sink'] },
  auditSinkWaiting: { name: 'rowgate_audit_sink_waiting_records', type: 'gauge', help: 'Audit records that wait for a sink.', labels: ['sink'] },
  alerts: { name: 'rowgate_alerts_total', type: 'counter', help: 'Alerts that were raised, without repetitions.', labels: ['event'] },
  alertsSent: { name: 'rowgate_alerts_sent_total', type: 'counter', help: 'Alerts that webhooks have taken.', labels: [] },
  alertsDropped: { name: 'rowgate_alerts_dropped_total', type: 'counter', help: 'Alerts that a webhook did not get: too many waited, or it refused them.', labels: [] },
  alertFailures: { name: 'rowgate_alert_failures_total', type: 'counter', help: 'Deliveries to webhooks that failed.', labels: [] },
  configReloadSuccessful: { name: 'rowgate_config_last_reload_successful', type: 'gauge', help: '1 if the last load of the configuration succeeded, else 0.', labels: [] },
  configReloadTimestamp: {
    name: 'rowgate_config_last_reload_success_timestamp_seconds', type: 'gauge', help: 'Unix time of the last successful load of the configuration.', labels: [],
  },
  catalogRefreshes: { name: 'rowgate_catalog_refreshes_total', type: 'counter', help: 'Snapshots of the catalog that were read.', labels: [] },
  catalogErrors: { name: 'rowgate_catalog_errors_total', type: 'counter', help: 'Reads of the catalog that failed.', labels: [] },
  catalogAge: { name: 'rowgate_catalog_age_seconds', type: 'gauge', help: 'Age of the oldest catalog snapshot in use; absent before the first.', labels: [] },
  eventLoopLag: {
    name: 'rowgate_event_loop_lag_seconds', type: 'gauge', help: 'How late the event loop was since the last scrape, in this share of the cases (1: the worst).', labels: ['share'],
  },
  buildInfo: { name: 'rowgate_build_info', type: 'gauge', help: 'Always 1; the version stands in the label.', labels: ['version'] },
} as const satisfies Record<string, MetricDefinition>;

export type MetricKey = keyof typeof metricTable;

type KeysOfType<T extends MetricDefinition['type']> = { [K in MetricKey]: (typeof metricTable)[K]['type'] extends T ? K : never }[MetricKey];

export type CounterKey = KeysOfType<'counter'>;
export type HistogramKey = KeysOfType<'histogram'>;
/** A value for each label of the metric, no more and no fewer. */
export type LabelsOf<K extends MetricKey> = { readonly [L in (typeof metricTable)[K]['labels'][number]]: string };
