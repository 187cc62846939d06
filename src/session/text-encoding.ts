/**
 * How statement texts are read. The analyser must see the text that the server sees, so an encoding in which an ASCII
 * byte can be the second half of another character (SJIS, BIG5, GBK, GB18030, UHC, JOHAB, SHIFT_JIS_2004) is not
 * accepted: a quote could hide in it. All others that PostgreSQL knows keep ASCII bytes for ASCII characters
 * (documentation, "Character Set Support").
 */

import { isUtf8 } from 'node:buffer';

const DECODER_LABELS: Readonly<Record<string, string>> = {
  LATIN1: 'latin1', LATIN2: 'iso-8859-2', LATIN3: 'iso-8859-3', LATIN4: 'iso-8859-4', LATIN6: 'iso-8859-10',
  LATIN7: 'iso-8859-13', LATIN8: 'iso-8859-14', LATIN9: 'iso-8859-15', LATIN10: 'iso-8859-16',
  ISO_8859_5: 'iso-8859-5', ISO_8859_6: 'iso-8859-6', ISO_8859_7: 'iso-8859-7', ISO_8859_8: 'iso-8859-8',
  KOI8R: 'koi8-r', KOI8U: 'koi8-u', WIN866: 'ibm866', WIN874: 'windows-874', WIN1250: 'windows-1250',
  WIN1251: 'windows-1251', WIN1252: 'windows-1252', WIN1253: 'windows-1253', WIN1254: 'windows-1254',
  WIN1256: 'windows-1256', WIN1257: 'windows-1257', WIN1258: 'windows-1258',
};

export type TextDecode = (bytes: Buffer) => string | undefined;

const decodeUtf8: TextDecode = (bytes) => (isUtf8(bytes) ? bytes.toString('utf8') : undefined);

/** SQL_ASCII means that the server converts nothing: UTF-8 where it is, else bytes as they are (only ASCII bytes matter to the grammar). */
const decodeBytes: TextDecode = (bytes) => (isUtf8(bytes) ? bytes.toString('utf8') : bytes.toString('latin1'));

/**
 * The decoder for a `client_encoding` as ParameterStatus reports it; undefined if statements in it cannot be read safely.
 * A decoder returns undefined for bytes that are not valid in the encoding.
 */
export function textDecoderFor(clientEncoding: string): TextDecode | undefined {
  const name = clientEncoding.toUpperCase();
  if (name === 'UTF8' || name === 'UNICODE') return decodeUtf8;
  if (name === 'SQL_ASCII') return decodeBytes;
  const label = DECODER_LABELS[name];
  if (label === undefined) return undefined;
  const decoder = new TextDecoder(label);
  return (bytes) => decoder.decode(bytes);
}

/** Whether SET client_encoding TO this name is safe; names are compared as PostgreSQL does, letters and digits only (`clean_encoding_name`, src/common/encnames.c). */
export function isSafeEncodingName(name: string): boolean {
  const clean = name.toLowerCase().replaceAll(/[^a-z0-9]/g, '');
  return SAFE_NAMES.has(clean);
}

const SAFE_NAMES: ReadonlySet<string> = new Set([
  'utf8', 'unicode', 'sqlascii',
  ...Object.keys(DECODER_LABELS).map((name) => name.toLowerCase().replaceAll('_', '')),
  // Aliases of the same table.
  'iso88591', 'iso88592', 'iso88593', 'iso88594', 'iso885910', 'iso885913', 'iso885914', 'iso885915', 'iso885916',
  'koi8', 'windows866', 'windows874', 'windows1250', 'windows1251', 'windows1252', 'windows1253', 'windows1254',
  'windows1256', 'windows1257', 'windows1258', 'alt', 'win', 'abc', 'tcvn', 'tcvn5712', 'vscii',
]);
