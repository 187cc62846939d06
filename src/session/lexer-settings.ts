/**
 * Settings that would make the server read a statement's text otherwise than the analyser does. For metered logins they
 * stay as they are: `standard_conforming_strings` on, and a `client_encoding` in which an ASCII byte is an ASCII character.
 * ParameterStatus is watched besides, for ways to change them that no text shows.
 */

import type { Reach } from '../catalog/reach-types.ts';
import { refuse } from '../policy/refusal-codes.ts';
import type { PrincipalPolicy, Refusal } from '../policy/types.ts';
import type { StatementFacts } from '../sql/facts.ts';
import { isSafeEncodingName } from './text-encoding.ts';

const ON = /^(on|true|yes|1|t|tr|tru|y|ye)$/i;

export function settingVerdict(facts: StatementFacts, reach: Reach, principal: PrincipalPolicy): Refusal | undefined {
  for (const { name, value } of facts.settings) {
    // pg_dump sets restrict_nonsystem_relation_kind in this way, if the server has it.
    if (name === '*dynamic*' && (value === undefined || mayBeRead(value))) return refusal('set_config with a setting whose name is not written out', principal);
    // SET ... TO DEFAULT and RESET give back what the login began with, which was looked at then.
    const known = value !== undefined || facts.kind === 'set' || facts.kind === 'reset';
    if (name === 'standard_conforming_strings' && !(known && ON.test(value ?? 'on'))) {
      return refusal('standard_conforming_strings other than on', principal);
    }
    if (name === 'client_encoding' && !(known && isSafeEncodingName(value ?? 'utf8'))) {
      return refusal('a client_encoding in which text could be read in two ways', principal);
    }
  }
  // UPDATE pg_settings is a SET under another name.
  if (facts.modifies && reach.relations.includes('pg_catalog.pg_settings')) return refusal('changing pg_settings', principal);
  return undefined;
}

const BOOLEAN = /^(t|tr|tru|true|f|fa|fal|fals|false|y|ye|yes|n|no|on|of|off|[01])$/i;
/** The longest name in the table of encodings (src/common/encnames.c) has twelve letters and digits. */
const LONGEST_ENCODING_NAME = 14;

/** Whether one of the two settings can take this value: whichever setting is meant, the server refuses it for these otherwise. */
function mayBeRead(value: string): boolean {
  return BOOLEAN.test(value.trim()) || value.replaceAll(/[^A-Za-z0-9]/g, '').length <= LONGEST_ENCODING_NAME;
}

/** What a metered session must not have become, as ParameterStatus told. */
export function lexerFault(standardConformingStrings: boolean, encodingIsReadable: boolean): string | undefined {
  if (!standardConformingStrings) return 'standard_conforming_strings is off';
  return encodingIsReadable ? undefined : 'client_encoding is one in which text could be read in two ways';
}

export function lexerRefusal(fault: string, principal: PrincipalPolicy): Refusal {
  return { ...refusal(fault, principal), severity: 'FATAL' };
}

function refusal(what: string, principal: PrincipalPolicy): Refusal {
  const ruleId = `${principal.roles[0] ?? 'unlisted'}/fixed_settings`;
  return refuse('statement_denied', {
    ruleId,
    message: `${what} is not allowed (rule ${ruleId})`,
    detail: 'Rowgate must read statements exactly as the database does.',
    hint: 'Use client_encoding UTF8 (or a single-byte one such as WIN1250) and leave standard_conforming_strings on.',
  });
}
