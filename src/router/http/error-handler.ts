import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { BulkheadError, isAbort } from '#app/errors/bulkhead-error.ts';
import type { ErrorCode } from '#app/errors/catalogue.ts';
import { openAIErrorBody, problemBody } from '#app/errors/error-body.ts';
import { toBulkheadError } from '#app/http/to-bulkhead-error.ts';
import type { Logger } from '#observability/logger.ts';
import { drainRequest } from '#router/http/drain-request.ts';
import { isAdministration } from '#router/http/is-administration.ts';
import { missingObject } from '#router/http/missing-object.ts';
import { noSuchRoute } from '#router/http/no-such-route.ts';
import { findState } from '#router/http/request-state.ts';
import { retryHeaders } from '#router/limits/limit-headers.ts';

/** What the OpenAI SDKs would retry by its status alone, although trying again cannot help. */
const RETRIED_BY_STATUS: ReadonlySet<number> = new Set([408, 409, 429]);

/** What is unavailable may be back this soon, where nothing better is known. */
const RETRY_UNAVAILABLE_MS = 1_000;

/** An error that a route answered with. `url` is the route's own, with its parameters named. */
export type AnsweredError = Readonly<{ method: string; url: string; code: ErrorCode }>;

/** The one place where failures become answers: the OpenAI envelope, or RFC 9457 under `/admin`. */
export function addErrorHandler(
  app: FastifyInstance,
  { logger, onError }: { logger: Logger; onError?: (error: AnsweredError) => void },
): void {
  app.setErrorHandler((error, request, reply) => {
    const state = findState(request);
    const known =
      state?.signal.aborted === true && isAbort(error)
        ? whyEnded(state.signal.reason)
        : uniform(toBulkheadError(error), request);
    logFailure(logger, request, known, error);
    const { url } = request.routeOptions;
    if (url !== undefined) onError?.({ method: request.method, url, code: known.code });
    return sendError(request, reply, known);
  });
  app.setNotFoundHandler((request, reply) => sendError(request, reply, noSuchRoute(request)));
}

/** The client has left, unless the request was ended because the process stops. */
const whyEnded = (reason: unknown): BulkheadError =>
  reason instanceof BulkheadError ? reason : new BulkheadError('client_closed', 'The client left.');

function uniform(error: BulkheadError, request: FastifyRequest): BulkheadError {
  return error.code === 'not_found' ? (missingObject(request.routeOptions.url) ?? error) : error;
}

/** Details of our own failures go to the log, and nowhere else. */
export function logFailure(
  logger: Logger,
  request: FastifyRequest,
  known: BulkheadError,
  error: unknown,
): void {
  if (known.status < 500) return;
  const state = findState(request);
  const principal = state?.principal;
  logger.error(
    {
      err: error,
      code: known.code,
      request_id: request.id,
      method: request.method,
      route: request.routeOptions.url ?? null,
      ...(principal?.kind === 'tenant' ? { tenant_id: principal.context.tenantId } : {}),
    },
    'a request failed',
  );
}

export function sendError(request: FastifyRequest, reply: FastifyReply, error: BulkheadError): FastifyReply {
  const state = findState(request);
  if (state !== undefined) state.failure ??= error;
  const retryAfterMs = error.retryAfterMs ?? (error.status === 503 ? RETRY_UNAVAILABLE_MS : undefined);
  if (retryAfterMs !== undefined) reply.headers(retryHeaders(retryAfterMs));
  if (!error.retryable && RETRIED_BY_STATUS.has(error.status)) reply.header('x-should-retry', 'false');
  if (error.status === 401) reply.header('www-authenticate', 'Bearer realm="bulkhead"');
  if (!request.raw.complete) {
    // The framework would close the connection under a client that is still sending.
    reply.removeHeader('connection');
    reply.raw.removeHeader('connection');
    drainRequest(request.raw);
  }
  const isAdmin = isAdministration(request);
  // Serialised here: response schemas are for answers, and an error must never fail to render.
  return reply
    .status(error.status)
    .type(isAdmin ? 'application/problem+json; charset=utf-8' : 'application/json; charset=utf-8')
    .send(JSON.stringify(isAdmin ? problemBody(error, request.id) : openAIErrorBody(error, request.id)));
}
