// Draws docs/demo.svg, the picture in the README, from the demo's own output:
//   script -qc "stty cols 100; npm run demo -- --exit" demo.txt && node scripts/picture.mjs demo.txt
import { readFileSync, writeFileSync } from 'node:fs';

const SECTIONS = [/Without Rowgate: one/, /All customers packed/, /Page by page/, /The same session goes on/, /^Summary/];
const COLOURS = { 31: '#ff7b72', 32: '#7ee787', 33: '#f2cc60', 36: '#79c0ff' };
const FONT_WIDTH = 8.43;
const LINE_HEIGHT = 19;

// oxlint-disable-next-line no-control-regex -- terminal colours are control characters
const SGR = /\u001B\[([\d;]*)m/g;

/** Cuts a line with terminal colours into runs of one style. */
function runsOf(line) {
  const runs = [];
  let style = {};
  let from = 0;
  for (const match of line.matchAll(SGR)) {
    if (match.index > from) runs.push({ text: line.slice(from, match.index), style });
    from = match.index + match[0].length;
    for (const code of match[1].split(';').map(Number)) {
      if (code === 0 || code === 39 || code === 22) style = {};
      else if (code === 1) style = { ...style, bold: true };
      else if (code === 2) style = { ...style, faint: true };
      else if (code in COLOURS) style = { ...style, fill: COLOURS[code] };
    }
  }
  if (from < line.length) runs.push({ text: line.slice(from), style });
  return runs;
}

const plain = (line) => line.replaceAll(SGR, '');
const escape = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

const lines = readFileSync(process.argv[2], 'utf8').split(/\r?\n/);
const isHeading = (line) => /^\d+\. /.test(plain(line)) || plain(line).startsWith('Summary');
const picked = [];
for (const section of SECTIONS) {
  const start = lines.findIndex((line) => isHeading(line) && section.test(plain(line).replace(/^\d+\. /, '')));
  if (start === -1) throw new Error(`the demo's output has no section like ${section}`);
  let end = lines.findIndex((line, index) => index > start && isHeading(line));
  if (end === -1) end = lines.findLastIndex((line) => line.trim() !== '' && !line.startsWith('Script done')) + 1;
  let body = lines.slice(start, end);
  while (body.at(-1)?.trim() === '') body = body.slice(0, -1);
  // A long section is shown by its heading and its end.
  if (body.length > 14) body = [...body.slice(0, 1), '   …', ...body.slice(-11)];
  picked.push(...body, '');
}
picked.pop();

const columns = Math.max(...picked.map((line) => plain(line).length));
const width = Math.ceil(columns * FONT_WIDTH) + 40;
const height = picked.length * LINE_HEIGHT + 60;
const body = picked
  .map((line, row) => {
    const y = 56 + row * LINE_HEIGHT;
    const spans = runsOf(line)
      .map(({ text, style }) => {
        const attributes = [
          style.fill === undefined ? '' : ` fill="${style.fill}"`,
          style.bold === true ? ' font-weight="bold"' : '',
          style.faint === true ? ' opacity="0.6"' : '',
        ].join('');
        return `<tspan${attributes}>${escape(text)}</tspan>`;
      })
      .join('');
    return `<text x="20" y="${y}" xml:space="preserve">${spans}</text>`;
  })
  .join('\n');

writeFileSync(
  new URL('../docs/demo.svg', import.meta.url),
  `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="The demo: an insider is stopped at the quota">
<rect width="100%" height="100%" rx="8" fill="#0d1117"/>
<circle cx="22" cy="20" r="6" fill="#ff5f57"/><circle cx="42" cy="20" r="6" fill="#febc2e"/><circle cx="62" cy="20" r="6" fill="#28c840"/>
<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="14" fill="#e6edf3">
${body}
</g>
</svg>
`,
);
