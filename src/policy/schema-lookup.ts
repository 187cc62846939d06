import type { ConfigPath } from './config-path.ts';
import type { JsonSchema } from './config-schema.ts';
import { isRecord } from './config-path.ts';

/** Questions to the JSON Schema of the configuration: what may stand at a path? */

export function schemaAt(root: JsonSchema, path: ConfigPath): JsonSchema | undefined {
  let current: JsonSchema | undefined = root;
  for (const step of path) {
    if (current === undefined) return undefined;
    current = alternatives(current).map((schema) => childOf(schema, step)).find((child) => child !== undefined);
  }
  return current;
}

/** The keys that a mapping at this path may have; empty if any name will do. */
export function knownKeys(root: JsonSchema, path: ConfigPath): readonly string[] {
  const schema = schemaAt(root, path);
  if (schema === undefined) return [];
  return alternatives(schema).flatMap((each) => (isRecord(each['properties']) ? Object.keys(each['properties']) : []));
}

export function acceptsType(schema: JsonSchema | undefined, type: 'integer' | 'boolean'): boolean {
  return schema !== undefined && alternatives(schema).some((each) => each['type'] === type);
}

function alternatives(schema: JsonSchema): readonly JsonSchema[] {
  const anyOf = schema['anyOf'];
  return Array.isArray(anyOf) ? [schema, ...anyOf.filter(isRecord)] : [schema];
}

function childOf(schema: JsonSchema, step: string | number): JsonSchema | undefined {
  if (typeof step === 'number') return isRecord(schema['items']) ? schema['items'] : undefined;
  const properties = schema['properties'];
  if (isRecord(properties) && Object.hasOwn(properties, step)) {
    const property = properties[step];
    return isRecord(property) ? property : undefined;
  }
  const rest = schema['additionalProperties'];
  return isRecord(rest) ? rest : undefined;
}
