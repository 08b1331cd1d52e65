import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { openAIErrorBody } from '#app/errors/error-body.ts';
import type { InternalTokenVerifier } from '#app/http/internal-token.ts';
import { createRequestSlot } from '#app/http/request-slot.ts';
import { parseJsonStrictly } from '#app/http/strict-json-parser.ts';
import { toBulkheadError } from '#app/http/to-bulkhead-error.ts';
import type { TenantContext } from '#app/tenant-context.ts';

export type InternalAppOptions = {
  verifier: InternalTokenVerifier;
  /** Throws when the service cannot do its work; behind `/readyz`. */
  checkReady(signal: AbortSignal): Promise<void>;
  /** Told of every failure that is ours (5xx), with the request id. */
  onError(error: unknown, fields: { request_id: string | null; method: string; url: string }): void;
  bodyLimitBytes: number;
};

const contexts = createRequestSlot<TenantContext>('context');
const READY_TIMEOUT_MS = 2_000;

/** The context that the request's internal token proves. */
export function contextOf(request: FastifyRequest): TenantContext {
  const context = contexts.get(request);
  if (context === undefined) throw new Error('This route has no internal authentication.');
  return context;
}

/** A signal that fires when the caller leaves before the answer is complete. */
export function signalOf(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) controller.abort();
  });
  return controller.signal;
}

/**
 * The frame of a service behind the router. Everything but `/healthz` and `/readyz` needs an internal token:
 * no tenant is ever read from a body, a path or another header.
 */
export function buildInternalApp(options: InternalAppOptions): FastifyInstance {
  const app = Fastify({ logger: false, bodyLimit: options.bodyLimitBytes, forceCloseConnections: 'idle' });

  app.removeContentTypeParser(['application/json', 'text/plain']);
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer' },
    async (_request: FastifyRequest, body: Buffer) => parseJsonStrictly(body),
  );

  app.addHook('onRequest', async (request) => {
    if (request.url === '/healthz' || request.url === '/readyz') return;
    const [scheme, token, ...rest] = (request.headers.authorization ?? '').split(' ');
    if (scheme !== 'Bearer' || token === undefined || token === '' || rest.length > 0) {
      throw new BulkheadError('missing_credential', 'An internal token is needed.');
    }
    contexts.set(request, await options.verifier.verify(token));
  });

  app.setErrorHandler((error, request, reply) => {
    const known = toBulkheadError(error);
    const requestId = contexts.get(request)?.requestId ?? null;
    if (known.status >= 500) {
      options.onError(error, { request_id: requestId, method: request.method, url: request.url });
    }
    return reply.status(known.status).send(openAIErrorBody(known, requestId ?? undefined));
  });
  app.setNotFoundHandler((_request, reply) => {
    const error = new BulkheadError('not_found', 'There is no such route.');
    return reply.status(error.status).send(openAIErrorBody(error));
  });

  app.get('/healthz', async () => ({ status: 'ok' }));
  app.get('/readyz', async (_request, reply) => {
    try {
      await options.checkReady(AbortSignal.timeout(READY_TIMEOUT_MS));
      return { status: 'ready' };
    } catch {
      return reply.status(503).send({ status: 'not_ready' });
    }
  });
  return app;
}
