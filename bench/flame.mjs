// A flame graph of a profile: a picture of itself (SVG), each box as wide as the part of the time that the function was on the stack.

const WIDTH = 1600;
const LINE = 17;
/** Narrower boxes are left out. */
const LEAST = 0.6;
const LETTER = 6.6;

/** @typedef {{ name: string, us: number, children: Map<string, Frame> }} Frame */

/** @param {string} name @returns {Frame} */
export function frame(name) {
  return { name, us: 0, children: new Map() };
}

/**
 * @param {Frame} root
 * @param {readonly string[]} stack  outermost first
 * @param {number} us
 */
export function addStack(root, stack, us) {
  root.us += us;
  let at = root;
  for (const name of stack) {
    const child = at.children.get(name) ?? frame(name);
    at.children.set(name, child);
    child.us += us;
    at = child;
  }
}

/** @param {string} text */
function escape(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** Rowgate's own functions, those of libraries, and the rest (Node.js, V8, WASM). @param {string} name */
function colour(name) {
  if (name.includes(' src/')) return '#f4a261';
  if (name.includes('node:') || !name.includes('/')) return '#cbd5e1';
  return '#e9d8a6';
}

/**
 * @param {Frame} root
 * @param {string} title
 */
export function flameGraph(root, title) {
  /** @type {string[]} */
  const boxes = [];
  let depth = 0;
  /** @param {Frame} of @param {number} x @param {number} level */
  const draw = (of, x, level) => {
    const width = (of.us / root.us) * WIDTH;
    if (width < LEAST) return;
    depth = Math.max(depth, level);
    const letters = Math.floor((width - 4) / LETTER);
    const text = letters < 3 ? '' : `<text x="${(x + 3).toFixed(1)}" y="${level * LINE + 12}">${escape(of.name.length > letters ? `${of.name.slice(0, letters - 1)}…` : of.name)}</text>`;
    boxes.push(`<g><title>${escape(of.name)}: ${((of.us / root.us) * 100).toFixed(1)} %</title><rect x="${x.toFixed(1)}" y="${level * LINE}" width="${width.toFixed(1)}" height="${LINE - 1}" fill="${colour(of.name)}"/>${text}</g>`);
    let at = x;
    for (const child of [...of.children.values()].sort((a, b) => b.us - a.us)) {
      draw(child, at, level + 1);
      at += (child.us / root.us) * WIDTH;
    }
  };
  draw({ ...root, name: title }, 0, 0);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${(depth + 1) * LINE}" font-family="monospace" font-size="11">\n${boxes.join('\n')}\n</svg>\n`;
}
