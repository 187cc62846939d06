/** Raises of limits: asked for, given, approved, taken back. The token says who does it. */

import type { FastifyInstance, FastifyReply } from 'fastify';
import { withDeadline } from './deadline.ts';
import type { GrantAnswer, GrantOrder, GrantProviders } from './providers.ts';
import { grantSchema, grantsSchema } from './response-schemas.ts';

type Refuse = (reply: FastifyReply, status: number, error: string, message: string) => FastifyReply;

export function addGrantRoutes(app: FastifyInstance, grants: GrantProviders, timeoutMs: number, refuse: Refuse): void {
  const answer = async (reply: FastifyReply, work: Promise<GrantAnswer>): Promise<FastifyReply | { readonly grant: unknown }> => {
    const result = await withDeadline(timeoutMs, work);
    return result.ok ? { grant: result.grant } : refuse(reply, 422, 'not_granted', result.reason);
  };
  const schema = { response: { 200: grantSchema } };

  app.get('/v1/grants', { schema: { response: { 200: grantsSchema } } }, async () => ({ grants: await withDeadline(timeoutMs, grants.list()) }));
  app.post('/v1/grants', { schema }, (request, reply) => answer(reply, grants.order(orderOf(request.body), request.person ?? '')));
  app.post<{ Params: { id: string } }>('/v1/grants/:id/approve', { schema }, (request, reply) => answer(reply, grants.approve(request.params.id, orderOf(request.body), request.person ?? '')));
  app.delete<{ Params: { id: string } }>('/v1/grants/:id', { schema }, (request, reply) => answer(reply, grants.revoke(request.params.id, request.person ?? '')));
}

function orderOf(body: unknown): GrantOrder {
  return typeof body === 'object' && body !== null ? body : {};
}
