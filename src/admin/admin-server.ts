/**
 * The admin port: metrics and health for everyone who reaches it, the rest for those with the token. A route is private unless it says `public`;
 * without a configured token there are no private routes.
 */

import { fastify, type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { Tokens } from './bearer-token.ts';
import { DeadlineError, withDeadline } from './deadline.ts';
import { addGrantRoutes } from './grant-routes.ts';
import type { AdminProviders, MetricsProvider, ReadinessChecks } from './providers.ts';
import { Readiness, type ReadinessOptions } from './readiness.ts';
import { auditHeadSchema, endedSchema, forgottenSchema, reloadSchema, sessionsSchema, usageSchema } from './response-schemas.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Whose token came with it. */
    person: string | undefined;
  }
  interface FastifyContextConfig {
    /** Served without a token. */
    readonly public?: boolean;
  }
}

export interface AdminServerOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Undefined or empty: the endpoints that want a token are off. */
  readonly token: string | undefined;
  /** A token for each person, by name. The shared one counts as `admin`. */
  readonly people?: ReadonlyMap<string, string>;
  readonly metrics: MetricsProvider;
  readonly checks: ReadinessChecks;
  readonly providers: AdminProviders;
  readonly readiness?: ReadinessOptions;
  /** Most that sessions and usage may take. Default 5 s. */
  readonly providerTimeoutMs?: number;
  /** Most that a reload may take. Default 30 s. */
  readonly reloadTimeoutMs?: number;
  /** Told of faults that the client gets as a bare 500. */
  readonly onFault?: (error: unknown) => void;
}

export interface AdminServer {
  readonly host: string;
  readonly port: number;
  close(): Promise<void>;
}

/** The body of every answer that is not a success. */
export interface ErrorBody {
  readonly error: string;
  readonly message: string;
  /** With `invalid_config`. */
  readonly problems?: readonly string[];
}

const bodyLimitBytes = 1024;
const maxHeaderBytes = 8192;
const maxConnections = 128;
const requestTimeoutMs = 10_000;
const keepAliveTimeoutMs = 65_000;

/** Listens when it resolves. */
export async function startAdminServer(options: AdminServerOptions): Promise<AdminServer> {
  const app = fastify({
    logger: false,
    bodyLimit: bodyLimitBytes,
    requestTimeout: requestTimeoutMs,
    // Of a connection on which nothing moves; an answer that takes its time must fit.
    connectionTimeout: Math.max(requestTimeoutMs, (options.reloadTimeoutMs ?? 30_000) + 1000),
    keepAliveTimeout: keepAliveTimeoutMs,
    http: { maxHeaderSize: maxHeaderBytes, headersTimeout: requestTimeoutMs },
    forceCloseConnections: true,
    // The forwarding headers of a client are not to be believed.
    trustProxy: false,
  });
  app.server.maxConnections = maxConnections;
  acceptAnyBody(app);
  handleErrors(app, options);
  guard(app, new Tokens(new Map([...(options.people ?? []), ['admin', options.token ?? '']])));
  app.decorateRequest('person', undefined);
  addPublicRoutes(app, options);
  addPrivateRoutes(app, options);
  if (options.providers.grants !== undefined) addGrantRoutes(app, options.providers.grants, options.providerTimeoutMs ?? 5000, sendError);
  await app.listen({ host: options.host, port: options.port });
  const address = app.server.address();
  const port = typeof address === 'object' && address !== null ? address.port : options.port;
  return { host: options.host, port, close: () => app.close() };
}

/** Where no body is wanted any (small) one will do: `curl -d ''` sends a form. JSON is read where grants come in. */
function acceptAnyBody(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
    try {
      done(null, body === '' ? undefined : JSON.parse(String(body)));
    } catch {
      done(Object.assign(new Error('the body is no JSON'), { statusCode: 400, code: 'FST_ERR_BODY' }), undefined);
    }
  });
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, _body, done) => { done(null, undefined); });
}

function handleErrors(app: FastifyInstance, options: AdminServerOptions): void {
  app.setErrorHandler((error: FastifyError, _request, reply) => {
    if (error instanceof DeadlineError) return sendError(reply, 503, 'unavailable', error.message);
    const status = error.statusCode ?? 500;
    // Fastify's own complaints about a request (FST_ERR_...) say nothing of us; anything else might.
    if (status >= 400 && status < 500 && String(error.code).startsWith('FST_')) return sendError(reply, status, 'bad_request', error.message);
    options.onFault?.(error);
    return sendError(reply, 500, 'internal', 'the request could not be served; the log has the reason');
  });
  app.setNotFoundHandler((_request, reply) => sendError(reply, 404, 'not_found', 'there is no such endpoint'));
}

function guard(app: FastifyInstance, tokens: Tokens): void {
  app.addHook('onRequest', async (request: FastifyRequest, reply: FastifyReply) => {
    void reply.headers({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
    if (request.routeOptions.config.public === true) return undefined;
    if (tokens.none) return sendError(reply, 404, 'not_found', 'there is no such endpoint');
    request.person = tokens.whose(request.headers.authorization);
    if (request.person !== undefined) return undefined;
    void reply.header('www-authenticate', 'Bearer');
    return sendError(reply, 401, 'unauthorized', 'this endpoint wants the header Authorization: Bearer TOKEN');
  });
}

function addPublicRoutes(app: FastifyInstance, { metrics, checks, readiness: readinessOptions }: AdminServerOptions): void {
  const readiness = new Readiness(checks, readinessOptions);
  const config = { public: true };
  app.get('/metrics', { config }, async (_request, reply) => {
    const text = await metrics.render();
    return reply.type(metrics.contentType).send(text);
  });
  app.get('/healthz', { config }, () => Promise.resolve({ status: 'ok' }));
  app.get('/readyz', { config }, async (_request, reply) => {
    const report = await readiness.report();
    return reply.code(report.ready ? 200 : 503).send(report);
  });
}

function addPrivateRoutes(app: FastifyInstance, options: AdminServerOptions): void {
  const { providers, providerTimeoutMs = 5000, reloadTimeoutMs = 30_000 } = options;
  let reloading: Promise<unknown> | undefined;

  app.get('/v1/sessions', { schema: { response: { 200: sessionsSchema } } }, async () => {
    return { sessions: await withDeadline(providerTimeoutMs, Promise.resolve(providers.sessions())) };
  });

  app.delete<{ Params: { id: string } }>('/v1/sessions/:id', { schema: { response: { 200: endedSchema } } }, async (request, reply) => {
    const ended = await withDeadline(providerTimeoutMs, Promise.resolve(providers.endSession(request.params.id)));
    return ended ? { ended: request.params.id } : sendError(reply, 404, 'no_session', 'there is no session of this id');
  });

  app.get<{ Querystring: { principal?: string | string[] } }>('/v1/usage', { schema: { response: { 200: usageSchema } } }, async (request, reply) => {
    const { principal } = request.query;
    if (Array.isArray(principal)) return sendError(reply, 400, 'bad_request', 'principal may be given once');
    return { usage: await withDeadline(providerTimeoutMs, providers.usage({ principal })) };
  });

  app.get('/v1/audit/head', { schema: { response: { 200: auditHeadSchema } } }, async (_request, reply) => {
    const heads = await withDeadline(providerTimeoutMs, Promise.resolve(providers.auditHeads?.() ?? []));
    const [head, ...others] = heads;
    if (head === undefined) return sendError(reply, 404, 'no_record', 'no audit record was written yet');
    // Workers write a file each.
    return others.length === 0 ? head : { heads };
  });

  app.post('/v1/bookkeeping/forget', { schema: { response: { 200: forgottenSchema } } }, async (request) => {
    await withDeadline(providerTimeoutMs, providers.forgetBooks(request.person ?? 'admin'));
    return { forgotten: true };
  });

  app.post('/v1/reload', { schema: { response: { 200: reloadSchema } } }, async (_request, reply) => {
    if (reloading !== undefined) return sendError(reply, 409, 'reload_in_progress', 'another reload is under way');
    const reload = providers.reload();
    const done = reload.then(() => undefined, () => undefined).finally(() => { reloading = undefined; });
    reloading = done;
    const result = await withDeadline(reloadTimeoutMs, reload);
    if (result.ok) return result;
    return sendError(reply, 422, 'invalid_config', 'the configuration was not changed', result.problems);
  });
}

function sendError(reply: FastifyReply, status: number, error: string, message: string, problems?: readonly string[]): FastifyReply {
  const body: ErrorBody = problems === undefined ? { error, message } : { error, message, problems };
  return reply.code(status).send(body);
}
