import type { RawNode } from './dialect.ts';

/** Readers for the parser's JSON. They never throw: what is not there is undefined or empty. */

export function isNode(value: unknown): value is RawNode {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function text(node: RawNode | undefined, field: string): string | undefined {
  const value = node?.[field];
  return typeof value === 'string' ? value : undefined;
}

export function child(node: RawNode | undefined, field: string): RawNode | undefined {
  const value = node?.[field];
  return isNode(value) ? value : undefined;
}

export function list(node: RawNode | undefined, field: string): readonly unknown[] {
  const value = node?.[field];
  return Array.isArray(value) ? value : [];
}

/** The body of a wrapped node `{Kind: body}` if it is of that kind. */
export function unwrap(value: unknown, kind: string): RawNode | undefined {
  return isNode(value) ? child(value, kind) : undefined;
}

/** The kind and body of a wrapped node. */
export function open(value: unknown): { readonly kind: string; readonly body: RawNode } | undefined {
  if (!isNode(value)) return undefined;
  for (const kind of Object.keys(value)) {
    const body = value[kind];
    return isNode(body) ? { kind, body } : undefined;
  }
  return undefined;
}

/** A list of String nodes; undefined as soon as one element is something else (`*`, an index). */
export function strings(values: readonly unknown[]): readonly string[] | undefined {
  const result: string[] = [];
  for (const value of values) {
    const string = unwrap(value, 'String');
    if (string === undefined) return undefined;
    result.push(text(string, 'sval') ?? '');
  }
  return result;
}

export interface QualifiedName {
  readonly schema: string | undefined;
  readonly name: string;
}

/** `[name]`, `[schema, name]` or `[database, schema, name]`; PostgreSQL accepts only the current database there. */
export function qualified(values: readonly unknown[]): QualifiedName | undefined {
  const parts = strings(values);
  const name = parts?.at(-1);
  return name === undefined ? undefined : { schema: parts?.at(-2), name };
}

export function rangeVarName(node: RawNode): QualifiedName {
  return { schema: text(node, 'schemaname'), name: text(node, 'relname') ?? '' };
}

/** Zeros are left out of the parser's output. */
function integer(node: RawNode): string {
  const value = node['ival'];
  return typeof value === 'number' ? `${value}` : '0';
}

/** The value of a string, number, boolean or bit constant; undefined for NULL and anything that is not a constant. */
export function constant(value: unknown): string | undefined {
  const node = unwrap(value, 'A_Const');
  if (node === undefined) return undefined;
  const { sval, ival, fval, boolval, bsval } = node;
  if (isNode(sval)) return text(sval, 'sval') ?? '';
  if (isNode(ival)) return integer(ival);
  if (isNode(fval)) return text(fval, 'fval') ?? '0';
  if (isNode(boolval)) return boolval['boolval'] === true ? 'true' : 'false';
  if (isNode(bsval)) return text(bsval, 'bsval') ?? '';
  return undefined;
}

export function stringConstant(value: unknown): string | undefined {
  const sval = child(unwrap(value, 'A_Const'), 'sval');
  return sval === undefined ? undefined : text(sval, 'sval') ?? '';
}

/** An option `name = value` of a utility statement. */
export function optionValue(option: RawNode): string | undefined {
  const argument = option['arg'];
  const node = open(argument);
  switch (node?.kind) {
    case 'String': return text(node.body, 'sval') ?? '';
    case 'Integer': return integer(node.body);
    case 'Float': return text(node.body, 'fval') ?? '0';
    case 'Boolean': return node.body['boolval'] === true ? 'true' : 'false';
    case 'TypeName': return qualified(list(node.body, 'names'))?.name;
    default: return constant(argument);
  }
}

/** `defGetBoolean` in PostgreSQL's defrem: no value means true. A value that the server would reject counts as true. */
export function optionIsOn(option: RawNode): boolean {
  if (option['arg'] === undefined) return true;
  const value = optionValue(option)?.toLowerCase();
  return value !== 'false' && value !== 'off' && value !== '0';
}
