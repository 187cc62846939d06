/** Files with a line for each login: `name: value`. Pure. */

export interface UserLine {
  readonly user: string;
  readonly value: string;
  readonly line: number;
}

export type UserLines = { readonly ok: true; readonly lines: readonly UserLine[] } | { readonly ok: false; readonly line: number; readonly problem: string };

const LINE = /^(?:"((?:[^"]|"")+)"|([^":#\s][^:\s]*)):[ \t]*(.*)$/;

/** Blank lines and lines that begin with `#` are comments. A name with a blank, a colon or a quote in it stands in quotes, in which a quote is doubled. */
export function readUserLines(text: string): UserLines {
  const lines: UserLine[] = [];
  const seen = new Set<string>();
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    if (raw.trim() === '' || raw.startsWith('#')) continue;
    const match = LINE.exec(raw);
    // The line itself is not shown: it may hold a password.
    if (match === null) return { ok: false, line: index + 1, problem: 'expected NAME: VALUE' };
    const user = match[1]?.replaceAll('""', '"') ?? match[2] ?? '';
    const value = match[3] ?? '';
    if (value === '') return { ok: false, line: index + 1, problem: 'there is nothing behind the name' };
    if (seen.has(user)) return { ok: false, line: index + 1, problem: `"${user}" is there twice` };
    seen.add(user);
    lines.push({ user, value, line: index + 1 });
  }
  return { ok: true, lines };
}

export function writeUserLine(user: string, value: string): string {
  return `${/^[^":#\s][^":\s]*$/.test(user) ? user : `"${user.replaceAll('"', '""')}"`}: ${value}`;
}
