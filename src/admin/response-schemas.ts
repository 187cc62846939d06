/**
 * What leaves through the private endpoints: fields that stand here, and no others. Fastify serialises by these, so a provider that hands out more
 * than `providers.ts` says (a statement's text, a row) does not publish it.
 */

const text = { type: 'string' } as const;
const count = { type: 'number' } as const;
const names = { type: 'array', items: text } as const;

function listOf<const K extends string, const P extends Readonly<Record<string, unknown>>>(key: K, properties: P) {
  return {
    type: 'object',
    required: [key],
    properties: { [key]: { type: 'array', items: { type: 'object', additionalProperties: false, properties } } },
  } as const;
}

export const sessionsSchema = listOf('sessions', {
  session_id: text, principal: text, roles: names, client_address: text, application_name: text, database: text,
  started_at: text, state: text, statements: count, rows: count, units: count, bytes: count,
});

export const forgottenSchema = { type: 'object', required: ['forgotten'], properties: { forgotten: { type: 'boolean' } } } as const;

export const endedSchema = { type: 'object', required: ['ended'], properties: { ended: text } } as const;

export const usageSchema = listOf('usage', {
  rule_id: text, role: text, scope: text, principal: text, class: text, dimension: text, window: text,
  used: count, limit: count, next_free_in_ms: count,
});

const grant = {
  id: text, principal: text, state: text, class: text, rows: count, subjects: count, bytes: count, reason: text,
  requested_by: text, requested_at: text, approved_by: text, until: text, asked_for: text, note: text,
} as const;

export const grantsSchema = listOf('grants', grant);

export const grantSchema = { type: 'object', required: ['grant'], properties: { grant: { type: 'object', additionalProperties: false, properties: grant } } } as const;

export const reloadSchema = {
  type: 'object',
  properties: { ok: { type: 'boolean' }, config_sha256: text, warnings: names },
} as const;

const auditHead = { writer: text, chain: text, seq: count, mac: text } as const;

export const auditHeadSchema = {
  type: 'object',
  properties: { ...auditHead, heads: { type: 'array', items: { type: 'object', additionalProperties: false, properties: auditHead } } },
} as const;
