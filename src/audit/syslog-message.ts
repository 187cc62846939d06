/** Audit records as messages of RFC 5424, and their framing on a stream (RFC 6587, section 3.4.1; RFC 5425, section 4.3). */

/** RFC 5424, table 1; 13 is "log audit". */
const FACILITIES = { auth: 4, authpriv: 10, audit: 13, local0: 16, local1: 17, local2: 18, local3: 19, local4: 20, local5: 21, local6: 22, local7: 23 } as const;

export type SyslogFacility = keyof typeof FACILITIES;

/** RFC 5424, table 2. */
const ALERT = 1;
const ERROR = 3;
const WARNING = 4;
const NOTICE = 5;
const INFO = 6;

export interface SyslogOrigin {
  readonly facility: SyslogFacility;
  readonly hostname: string;
  readonly pid: number;
}

/** Which events are more than information; a statement or flag goes by its decision. */
const SEVERITIES: Readonly<Record<string, number>> = {
  audit_tampered: ALERT,
  audit_gap: ERROR,
  store_outage: ERROR,
  login_failed: WARNING,
  flag: WARNING,
  config_reload: NOTICE,
  grant: NOTICE,
  audit_pruned: NOTICE,
  service_start: NOTICE,
  service_stop: NOTICE,
};

// A quote inside of a JSON text is escaped, so `"event":"` can only be a key; the first one is the record's own.
const TIME = /"time":"([0-9TZ:.-]+)"/;
const EVENT = /"event":"([a-z_]+)"/;
const STOPPED = /"decision":"(?:block|terminate)"/;

/** `line` is a record of the file, and `text` what is sent of it: the line itself or another format. */
export function syslogMessage({ facility, hostname, pid }: SyslogOrigin, line: string, text: string): string {
  const time = TIME.exec(line)?.[1] ?? '-';
  const event = EVENT.exec(line)?.[1] ?? '-';
  const severity = STOPPED.test(line) ? WARNING : (SEVERITIES[event] ?? INFO);
  // No BOM: JSON is UTF-8 by definition, and most receivers would take a BOM as part of the JSON (MSG-ANY of the grammar).
  return `<${FACILITIES[facility] * 8 + severity}>1 ${time} ${printable(hostname, 255)} rowgate ${pid} ${event.slice(0, 32)} - ${text}`;
}

/** PRINTUSASCII without spaces, or the nil value. */
function printable(text: string, max: number): string {
  const clean = text.replaceAll(/[^\x21-\x7e]/g, '').slice(0, max);
  return clean === '' ? '-' : clean;
}

export function octetCounted(message: string): Buffer {
  const bytes = Buffer.from(message, 'utf8');
  return Buffer.concat([Buffer.from(`${bytes.length} `, 'latin1'), bytes]);
}
