/** What the people who run Rowgate see of the story: the real metrics page and the real audit file. */

import { readFileSync } from 'node:fs';
import type { Terminal } from './terminal.ts';

const SHOWN_METRICS = /^rowgate_(rows_total|units_total|refusals_total|flags_total|quota_used_ratio|decisions_total)\{/;

interface AuditLine {
  readonly event?: string;
  readonly principal?: string;
  readonly decision?: string;
  readonly rule_id?: string;
}

/** Returns what is missing. */
export async function showOpsView(terminal: Terminal, adminPort: number, auditFile: string): Promise<readonly string[]> {
  terminal.step(`What Prometheus scrapes (http://127.0.0.1:${adminPort}/metrics)`);
  const page = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
  const shown = page.split('\n').filter((line) => SHOWN_METRICS.test(line) && !line.endsWith(' 0'));
  for (const line of shown) terminal.raw(line);

  terminal.step(`What stands in the audit log (${auditFile})`);
  const lines = readFileSync(auditFile, 'utf8').split('\n').filter((line) => line !== '');
  const records = lines.map((line) => ({ line, record: JSON.parse(line) as AuditLine }));
  const refusals = records.filter(({ record }) => record.principal === 'agent' && record.event === 'statement_end' && record.decision === 'block');
  const flags = records.filter(({ record }) => record.principal === 'analyst' && record.event === 'flag');
  terminal.say(`${lines.length} records, a line each. One of a refusal, the one of the flag:`);
  for (const each of [refusals.at(-2), flags.at(0)]) if (each !== undefined) terminal.raw(each.line);
  terminal.say('No customer stands in it: literals are taken out of the SQL.');

  const missing: string[] = [];
  if (!shown.some((line) => line.startsWith('rowgate_refusals_total'))) missing.push('no refusal is counted on /metrics');
  if (!shown.some((line) => line.startsWith('rowgate_flags_total'))) missing.push('the flag is not counted on /metrics');
  if (refusals.length < 5) missing.push(`of 5 refusals, ${refusals.length} stand in the audit log`);
  if (flags.length !== 1) missing.push(`of 1 flag, ${flags.length} stand in the audit log`);
  if (lines.some((line) => line.includes('+420790391234'))) missing.push('the audit log has a telephone number in it');
  for (const text of missing) terminal.outcome(false, `NOT AS TOLD: ${text}`);
  return missing;
}
