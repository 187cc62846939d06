import type { RawNode } from './dialect.ts';
import type { CopyFacts } from './facts.ts';
import { list, optionIsOn, optionValue, text, unwrap } from './tree.ts';

/** Both spellings, `WITH (FORMAT csv, HEADER)` and `CSV HEADER`, come as the same options. Names and formats are compared exactly, as ProcessCopyOptions does. */
export function copyFacts(node: RawNode): CopyFacts {
  let format: CopyFacts['format'] = 'text';
  let header = false;
  let plain = true;
  for (const item of list(node, 'options')) {
    const option = unwrap(item, 'DefElem');
    if (option === undefined) continue;
    const name = text(option, 'defname');
    if (name === 'format') {
      const value = optionValue(option);
      if (value === 'csv' || value === 'binary') format = value;
    }
    // HEADER MATCH, for COPY FROM, is neither on nor off: the line is there.
    if (name === 'delimiter' || name === 'null' || name === 'quote' || name === 'escape' || name === 'encoding') plain = false;
    if (name === 'header') header = optionIsOn(option);
  }
  return { endpoint: endpoint(node), format, header, plain };
}

function endpoint(node: RawNode): CopyFacts['endpoint'] {
  if (node['is_program'] === true) return 'program';
  return node['filename'] === undefined ? 'client' : 'file';
}
