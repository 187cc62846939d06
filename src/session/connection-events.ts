/** What becomes of connections, for the audit log, the metrics and the log of the people who run Rowgate. */

import type { AuditEvent, LoginDescription, LoginFailed, LoginSucceeded, SessionIdentity } from '../audit/events.ts';
import type { OpsLog } from '../audit/ops-log.ts';
import type { Metrics } from '../metrics/metrics.ts';
import type { CancelVerdict } from './cancel-keys.ts';

export interface ConnectionEventPorts {
  readonly metrics: Metrics;
  readonly log: OpsLog;
  /** The audit log tells of its own gaps. */
  audit(event: AuditEvent): void;
}

export class ConnectionEvents {
  readonly #ports: ConnectionEventPorts;

  constructor(ports: ConnectionEventPorts) {
    this.#ports = ports;
  }

  cancelAsked(verdict: CancelVerdict): void {
    this.#ports.metrics.count('cancelRequests');
    if (verdict !== 'passed') this.#ports.metrics.count('cancelRequestsRefused');
  }

  catalogFailed(error: unknown): void {
    this.#ports.metrics.count('catalogErrors');
    this.#ports.log.error({ err: error }, 'the catalog cannot be read');
  }

  upstreamFailed(error: unknown): void {
    this.#ports.log.error({ err: error }, 'the database server cannot be reached');
  }

  proxyHeaderRefused(reason: string, address: string): void {
    this.#ports.log.warn({ client: address }, reason);
  }

  fault(error: unknown): void {
    this.#ports.log.error({ err: error }, 'a session ended by a fault of Rowgate');
  }

  loginSucceeded(event: Omit<LoginSucceeded, 'event'>): void {
    this.#ports.audit({ event: 'login_succeeded', ...event });
  }

  loginFailed(event: Omit<LoginFailed, 'event'>): void {
    this.#ports.metrics.count('authFailures', { sqlstate: event.sqlstate ?? '' });
    this.#ports.log.warn({ session: event.session_id, principal: event.principal, client: event.client_address, sqlstate: event.sqlstate, reason: event.reason }, 'login failed');
    this.#ports.audit({ event: 'login_failed', ...event });
  }

  replicationStarted(identity: SessionIdentity, login: LoginDescription): void {
    this.#ports.metrics.count('sessionsTotal');
    this.#ports.log.warn({ session: identity.session_id, principal: identity.principal, client: identity.client_address }, 'replication connection, unmetered by the policy');
    this.#ports.audit({ event: 'session_start', ...identity, ...login, replication: true });
  }

  replicationEnded(identity: SessionIdentity, reason: string, bytes: number, durationMs: number): void {
    this.#ports.audit({ event: 'session_end', ...identity, replication: true, reason, rows: 0, units: 0, bytes, duration_ms: durationMs });
  }

  verifiersFailed(error: unknown): void {
    this.#ports.log.error({ err: error }, 'the verifiers of logins cannot be read');
  }

  tlsFailed(error: unknown, clientAddress: string): void {
    this.#ports.metrics.count('tlsFailures');
    this.#ports.log.info({ client: clientAddress, reason: error instanceof Error ? error.message.trim() : String(error) }, 'a TLS handshake failed');
  }
}
