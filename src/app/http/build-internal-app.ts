import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { openAIErrorBody } from '#app/errors/error-body.ts';
import {
  CALL_ORIGIN,
  DOMAIN_ORIGIN,
  ERROR_ORIGIN_HEADER,
  NO_SUCH_INTERNAL_ROUTE,
} from '#app/errors/inner-error.ts';
import type { Drain } from '#app/http/drain.ts';
import type { InternalTokenVerifier } from '#app/http/internal-token.ts';
import { createRequestSlot } from '#app/http/request-slot.ts';
import { parseJsonStrictly } from '#app/http/strict-json-parser.ts';
import { parseRequest, toBulkheadError } from '#app/http/to-bulkhead-error.ts';
import type { DependencyStates, serviceReadinessSchema } from '#app/schemas/dependency-states.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import { NO_TRACE, type Trace, type Tracing } from '#app/trace.ts';

export type InternalAppOptions = {
  verifier: InternalTokenVerifier;
  drain: Drain;
  /** What `/readyz` tells beside: the states are known already, and decide nothing. */
  dependencies(): DependencyStates;
  /** Told of every failure that is ours (5xx), with the request id. */
  onError(error: unknown, fields: { request_id: string | null; method: string; url: string }): void;
  bodyLimitBytes: number;
  /** Absent: no traces. */
  tracing?: Tracing;
};

const drains = new WeakMap<FastifyInstance['server'], Drain>();
const contexts = createRequestSlot<TenantContext>('context');
const PROBES: ReadonlySet<string> = new Set(['/healthz', '/readyz']);

/**
 * The call of the other service is wrong: its token, its body, its path. The client sent none of these, so the answer is not
 * marked as the domain's, and the calling service does not pass it on.
 */
class CallRejection extends Error {
  override readonly name = 'CallRejection';
  constructor(cause: unknown) {
    super('The call between two services is not valid.', { cause });
  }
}

/** Runs a check of the call itself; what it throws is no error of the client's. */
export function checkCall<Result>(check: () => Result): Result {
  try {
    return check();
  } catch (error) {
    throw new CallRejection(error);
  }
}

/** Parses what the calling service sent. */
export const parseCall = <Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> =>
  checkCall(() => parseRequest(schema, value));

/** The context that the request's internal token proves. */
export function contextOf(request: FastifyRequest): TenantContext {
  const context = contexts.get(request);
  if (context === undefined) throw new Error('This route has no internal authentication.');
  return context;
}

/**
 * A signal that fires when the caller leaves before the answer is complete, or, with a `shutting_down` for its reason, when
 * the time to drain is over.
 */
export function signalOf(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  const forget = drains.get(reply.server.server)?.onEnd((reason) => controller.abort(reason));
  reply.raw.once('close', () => {
    forget?.();
    if (!reply.raw.writableFinished) controller.abort();
  });
  return controller.signal;
}

/**
 * The frame of a service behind the router. Everything but `/healthz` and `/readyz` needs an internal token:
 * no tenant is ever read from a body, a path or another header. `/readyz` verifies a token that comes with it.
 */
export function buildInternalApp(options: InternalAppOptions): FastifyInstance {
  const app = Fastify({ logger: false, bodyLimit: options.bodyLimitBytes, return503OnClosing: false });
  drains.set(app.server, options.drain);

  app.removeContentTypeParser(['application/json', 'text/plain']);
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer' },
    async (_request: FastifyRequest, body: Buffer) => checkCall(() => parseJsonStrictly(body)),
  );

  /** The trace of a call goes on with the answer: a stream outlives its handler. */
  function beginTrace(request: FastifyRequest, reply: FastifyReply): Trace {
    if (options.tracing === undefined || PROBES.has(request.url)) return NO_TRACE;
    const route = request.routeOptions.url ?? '';
    const begun = options.tracing.begin({
      name: `${request.method} ${route}`.trim(),
      kind: 'server',
      headers: request.headers,
      from: 'service',
    });
    reply.raw.once('close', () => {
      const { statusCode } = reply.raw;
      begun.root.set({
        'http.request.method': request.method,
        'http.route': route,
        'http.response.status_code': statusCode,
        'bulkhead.tenant_id': contexts.get(request)?.tenantId,
      });
      if (statusCode >= 500) begun.root.fail(String(statusCode));
      begun.end(statusCode >= 500);
    });
    return begun.trace;
  }

  app.addHook('onRequest', async (request, reply) => {
    if (request.url === '/healthz') return;
    const { authorization } = request.headers;
    try {
      if (request.url !== '/readyz') {
        const trace = beginTrace(request, reply);
        contexts.set(request, await options.verifier.verify(bearerToken(authorization), trace));
      } else if (authorization !== undefined) {
        // The kubelet sends none; the router does, to learn whether its key and clock fit.
        await options.verifier.verifyProbe(bearerToken(authorization));
      }
    } catch (error) {
      throw new CallRejection(error);
    }
  });

  app.setErrorHandler((error, request, reply) => {
    const known = toBulkheadError(error instanceof CallRejection ? error.cause : error);
    reply.header(ERROR_ORIGIN_HEADER, error instanceof BulkheadError ? DOMAIN_ORIGIN : CALL_ORIGIN);
    const requestId = contexts.get(request)?.requestId ?? null;
    if (known.status >= 500) {
      options.onError(error, { request_id: requestId, method: request.method, url: request.url });
    }
    return reply.status(known.status).send(openAIErrorBody(known, requestId ?? undefined));
  });
  app.setNotFoundHandler((_request, reply) => {
    const error = new BulkheadError('not_found', NO_SUCH_INTERNAL_ROUTE);
    return reply.status(error.status).header(ERROR_ORIGIN_HEADER, CALL_ORIGIN).send(openAIErrorBody(error));
  });

  app.get('/healthz', async () => ({ status: 'ok' }));
  // What all replicas share does not count: without it none would be ready, and requests that do not need it would fail too.
  app.get('/readyz', async (_request, reply) => {
    const isReady = !options.drain.isDraining();
    const body: z.input<typeof serviceReadinessSchema> = {
      status: isReady ? 'ready' : 'not_ready',
      checks: options.dependencies(),
    };
    return reply.status(isReady ? 200 : 503).send(body);
  });
  app.addHook('preClose', async () => options.drain.begin());
  return app;
}

function bearerToken(authorization: string | undefined): string {
  const [scheme, token, ...rest] = (authorization ?? '').split(' ');
  if (scheme !== 'Bearer' || token === undefined || token === '' || rest.length > 0) {
    throw new BulkheadError('missing_credential', 'An internal token is needed.');
  }
  return token;
}
