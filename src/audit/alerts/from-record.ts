/** Which audit events raise an alert, and what it says. */

import type { AuditEvent, SessionIdentity, StatementEnd, StatementStart } from '../events.ts';
import type { Alert } from './alert.ts';

/** What two alerts of the same thing have in common. */
export interface KeyedAlert {
  readonly key: string;
  readonly alert: Alert;
}

export interface RecordContext {
  /** One of these roles has a quota. */
  readonly metered: (roles: readonly string[]) => boolean;
}

export function alertOf(event: AuditEvent, context: RecordContext): KeyedAlert | undefined {
  switch (event.event) {
    case 'statement_start':
      if (event.opaque.length === 0 || !context.metered(event.roles)) return undefined;
      return keyed(['opaque', event.principal, event.fingerprint], {
        event: 'opaque',
        summary: `${event.principal} runs a statement that Rowgate cannot understand, charged to every class`,
        ...whose(event),
        statement_id: event.statement_id,
        reason: event.opaque.join('; '),
      });
    case 'statement_end':
      return stopped(event);
    case 'flag': {
      const lookups = event.rule_id.includes('/lookups/');
      return keyed([lookups ? 'lookups' : 'flagged', event.principal, event.rule_id], {
        event: lookups ? 'lookups' : 'flagged',
        summary: lookups ? `${event.principal} asks far more small questions than the role does` : `${event.principal} was flagged, and not stopped`,
        ...whose(event),
        rule_id: event.rule_id,
        statement_id: event.statement_id,
        reason: event.reason,
      });
    }
    case 'login_failed':
      // The server is away or starts, or Rowgate stops: whoever tried has done nothing.
      if (event.sqlstate?.startsWith('57') === true) return undefined;
      // Each attempt has a port of its own.
      return keyed(['login_failed', event.principal, event.client_address.replace(/:\d+$/, '')], {
        event: 'login_failed',
        summary: `a login as ${event.principal} failed`,
        principal: event.principal,
        client_address: event.client_address,
        application_name: event.application_name,
        database: event.database,
        session_id: event.session_id,
        reason: event.reason,
      });
    case 'grant':
      return keyed(['grant', event.grant_id, event.action], {
        event: 'grant',
        summary: event.action === 'requested' ? `${event.requested_by} asks for more for ${event.principal}` : `higher limits for ${event.principal} were ${event.action} by ${event.by}`,
        principal: event.principal,
        reason: event.reason,
      });
    case 'config_reload':
      return keyed(['config', String(event.successful), event.config_sha256 ?? event.reason], {
        event: 'config',
        summary: event.successful ? 'a new configuration is in force' : 'the configuration was not reloaded: it has mistakes, and the one in force stays',
        reason: event.reason ?? (event.config_sha256 === undefined ? undefined : `sha256 ${event.config_sha256}`),
      });
    case 'audit_tampered':
      return keyed(['audit', event.reason], { event: 'audit', summary: 'somebody has changed the audit file', reason: event.reason });
    case 'audit_gap':
      return keyed(['audit', 'gap'], { event: 'audit', summary: `${event.refused} audit records could not be written since ${event.since}`, reason: event.reason });
    case 'store_outage':
      return keyed(['store', 'outage'], { event: 'store', summary: 'the counter store is away', reason: event.reason });
    case 'store_recovered':
      return keyed(['store', 'recovered'], {
        event: 'store',
        summary: `the counter store is back after ${Math.round(event.duration_ms / 1000)} s${event.refilled ? ', had forgotten what was counted, and was filled again' : ''}`,
      });
    default:
      return undefined;
  }
}

function stopped(event: StatementEnd): KeyedAlert | undefined {
  if (event.decision !== 'block' && event.decision !== 'terminate') return undefined;
  const ends = event.decision === 'terminate';
  return keyed([event.decision, event.principal, event.rule_id], {
    event: ends ? 'terminated' : 'blocked',
    summary: `${event.principal} was stopped${event.rows > 0 ? ` after ${event.rows} rows` : ''}${ends ? ', and the session ended' : ''}`,
    ...whose(event),
    rule_id: event.rule_id,
    statement_id: event.statement_id,
    reason: event.reason,
  });
}

function whose(event: SessionIdentity | StatementStart): Omit<Alert, 'event' | 'summary'> {
  const { principal, roles, database, client_address, application_name, session_id } = event;
  return { principal, roles, database, client_address, application_name, session_id };
}

function keyed(parts: readonly (string | undefined)[], alert: Alert): KeyedAlert {
  return { key: JSON.stringify(parts), alert };
}
