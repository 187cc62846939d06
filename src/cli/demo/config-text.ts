/** The configuration of the demo's Rowgate: short enough to be read in the terminal, real enough to be changed while it runs. */

import { STAFF_PASSWORD } from './customer-base.ts';

export interface DemoPorts {
  readonly postgres: number;
  readonly rowgate: number;
  readonly admin: number;
}

/** Limits that the story counts on. */
export const SUPPORT_ROWS_AN_HOUR = 200;
export const SUPPORT_ROWS_A_STATEMENT = 100;
export const MARKETING_FLAG_ROWS_AN_HOUR = 500;

export function demoConfig(ports: DemoPorts, auditFile: string): string {
  return `version: 1
listen: { host: 127.0.0.1, port: ${ports.rowgate} }
upstream: { host: 127.0.0.1, port: ${ports.postgres} }
catalog: { user: rowgate, password: ${STAFF_PASSWORD} }     # may read no table
store: { memory: true }
audit: { file: ${JSON.stringify(auditFile)} }
admin: { host: 127.0.0.1, port: ${ports.admin}, token: demo }

classes:
  customers:
    relations:
      crm.customers: { subject: id }
      crm.invoices: { subject: customer_id }

roles:
  support:
    members: [agent, "agent_*"]
    quotas:
      - { class: customers, window: statement, rows: ${SUPPORT_ROWS_A_STATEMENT}, action: block }
      - { class: customers, window: 1h, rows: ${SUPPORT_ROWS_AN_HOUR}, action: block }
    deny: [copy_out, derived_copy, opaque, code, server_files, remote, replication, fastpath]
    contact: data-protection@example.com
  marketing:
    members: [analyst]
    quotas:
      - { class: customers, window: 1h, rows: ${MARKETING_FLAG_ROWS_AN_HOUR}, action: flag }
      - { class: customers, window: 24h, rows: 5000, action: block }
    contact: data-protection@example.com
  dba:
    members: [dba]
    quotas: []                                  # no limit, still counted and audited

unlisted: block
`;
}
