import type { FastifyReply, FastifyRequest } from 'fastify';
import type { BegunTrace, Tracing } from '#app/trace.ts';
import type { RequestState } from '#router/http/request-state.ts';

/** Codes of errors by which a client is at fault: their traces are kept only as the sampler decides. */
const isPlatformsOwn = ({ failure, usage }: RequestState, status: number): boolean =>
  status >= 500 || usage.refusalReason !== null || failure?.refusal !== undefined;

/** Begins the trace of a request of a client, named by its route and not by its path, which holds ids. */
export function beginTrace(tracing: Tracing, request: FastifyRequest): BegunTrace {
  const route = request.routeOptions.url;
  return tracing.begin({
    name: route === undefined ? request.method : `${request.method} ${route}`,
    kind: 'server',
    headers: request.headers,
    from: 'client',
  });
}

/** Ends it once the connection has the whole answer, or is gone. */
export function endTrace(
  begun: BegunTrace,
  state: RequestState,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  const { usage, failure, principal } = state;
  const { statusCode, writableFinished } = reply.raw;
  const status = writableFinished || reply.raw.headersSent ? statusCode : 499;
  begun.root.set({
    'http.request.method': request.method,
    'http.route': request.routeOptions.url,
    'http.response.status_code': status,
    'bulkhead.request_id': state.requestId,
    'bulkhead.route': usage.route,
    'bulkhead.tenant_id': principal?.kind === 'tenant' ? principal.context.tenantId : undefined,
    'bulkhead.refusal_reason':
      usage.refusalReason ?? (failure?.refusal === undefined ? undefined : failure.code),
  });
  // By the HTTP conventions a server span fails for 5xx alone; a stream that breaks off has a status of 200.
  if (status >= 500 || (failure !== null && statusCode < 400))
    begun.root.fail(failure?.code ?? String(status));
  begun.end(isPlatformsOwn(state, status));
}
