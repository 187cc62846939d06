/** How the story looks. Colour only where somebody looks at it and has not asked for none (https://no-color.org). */

import type { Refused } from './staff-session.ts';

export interface Terminal {
  title(text: string): void;
  step(title: string): void;
  say(text: string): void;
  sql(who: string, text: string): void;
  table(columns: readonly string[], rows: readonly (readonly (string | null)[])[], total: number): void;
  refusal(refused: Refused): void;
  /** To be copied: never broken. */
  command(text: string): void;
  /** A line as it stands in a file or on a page. */
  raw(text: string): void;
  outcome(good: boolean, text: string): void;
}

export interface Screen {
  readonly write: (text: string) => void;
  readonly colour: boolean;
  readonly columns: number;
}

const MAX_WIDTH = 110;
const MAX_CELL = 26;

export function standardScreen(): Screen {
  const { stdout, env } = process;
  const plain = (env['NO_COLOR'] ?? '') !== '' || env['TERM'] === 'dumb';
  return { write: (text) => stdout.write(text), colour: stdout.isTTY === true && !plain, columns: stdout.columns ?? MAX_WIDTH };
}

export function createTerminal(screen: Screen = standardScreen()): Terminal {
  const width = Math.max(40, Math.min(MAX_WIDTH, screen.columns));
  const paint = (code: number) => (text: string) => (screen.colour ? `\u001b[${code}m${text}\u001b[0m` : text);
  const bold = paint(1);
  const dim = paint(2);
  const red = paint(31);
  const green = paint(32);
  const cyan = paint(36);
  const line = (text = ''): void => screen.write(`${text}\n`);
  const block = (text: string, indent: string, first = indent, style: (text: string) => string = (each) => each): void => {
    wrap(text, width - indent.length).forEach((part, index) => line(`${index === 0 ? first : indent}${style(part)}`));
  };
  let steps = 0;
  return {
    title(text) {
      line();
      line(bold(text));
      line(dim('═'.repeat(Math.min(width, lengthOf(text)))));
    },
    step(title) {
      steps += 1;
      line();
      block(`${steps}. ${title}`, '   ', '', bold);
    },
    say: (text) => block(text, '   '),
    sql(who, text) {
      const prompt = `   ${who}=> `;
      wrap(text, width - prompt.length).forEach((part, index) => line(`${index === 0 ? dim(prompt) : ' '.repeat(prompt.length)}${cyan(part)}`));
    },
    table(columns, rows, total) {
      const cells = rows.map((row) => row.map((cell) => cut(cell ?? '', MAX_CELL)));
      const widths = columns.map((name, column) => Math.max(name.length, ...cells.map((row) => lengthOf(row[column] ?? ''))));
      const format = (row: readonly string[]): string => cut(row.map((cell, column) => cell + ' '.repeat(Math.max(0, (widths[column] ?? 0) - lengthOf(cell)))).join(' │ ').trimEnd(), width - 3);
      line(`   ${dim(format(columns))}`);
      for (const row of cells) line(`   ${format(row)}`);
      if (total > rows.length) line(dim(`   … ${(total - rows.length).toLocaleString('en')} more`));
    },
    refusal({ severity, sqlstate, message, detail, hint }) {
      block(`${severity}: ${message}  [${sqlstate}]`, '     ', '   ', red);
      if (detail !== undefined) block(`DETAIL: ${detail}`, '     ', '   ');
      if (hint !== undefined) block(`HINT: ${hint}`, '     ', '   ');
    },
    command: (text) => line(`     ${text}`),
    raw: (text) => block(text, '     ', '   ', dim),
    outcome: (good, text) => block(`${good ? '✓' : '✗'} ${text}`, '     ', '   ', good ? green : red),
  };
}

function cut(text: string, width: number): string {
  return lengthOf(text) > width ? `${Array.from(text).slice(0, width - 1).join('')}…` : text;
}

/** Characters, not UTF-16 units; the demo's alphabets have no wide ones. */
function lengthOf(text: string): number {
  return Array.from(text).length;
}

/** At spaces; a word that is longer than a line is cut. */
export function wrap(text: string, width: number): readonly string[] {
  return text.split('\n').flatMap((paragraph) => {
    const lines: string[] = [];
    let rest = paragraph;
    while (rest.length > width) {
      const space = rest.lastIndexOf(' ', width);
      const end = space > 0 ? space : width;
      lines.push(rest.slice(0, end));
      rest = rest.slice(space > 0 ? end + 1 : end);
    }
    return [...lines, rest];
  });
}
