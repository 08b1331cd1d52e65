import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { RequestId } from '#app/ids.ts';
import type { Logger } from '#observability/logger.ts';
import type { Accounting } from '#router/http/accounting.ts';
import { endWhenStalled, FILE_STALL_MS } from '#router/http/end-when-stalled.ts';
import { noSuchRoute } from '#router/http/no-such-route.ts';
import { attachState, findState, newUsage, stateOf } from '#router/http/request-state.ts';
import { stripInternalHeaders } from '#router/http/strip-internal-headers.ts';
import { watchReader } from '#router/http/watch-reader.ts';
import { newExplanation } from '#router/request-log/explanation.ts';

/** These answer while the service stops: something has to tell that it does. */
const PROBES: ReadonlySet<string> = new Set(['/healthz', '/readyz']);

/**
 * What every request goes through: its state and id at the start; at the end its ledger row, and its place
 * among concurrent requests given back, however it ends. Hooks call back where they wait for nothing: each that is `async`
 * costs every request a turn of the queue.
 */
export function addLifecycle(
  app: FastifyInstance,
  options: {
    accounting: Accounting;
    monotonicNow: () => number;
    isDraining: () => boolean;
    logger: Logger;
    /** A client that takes nothing of its answer for so long is cut off. */
    stallMs: number;
  },
): void {
  const { accounting, monotonicNow, isDraining, logger, stallMs } = options;

  app.addHook('onRequest', (request, reply, done) => {
    const controller = new AbortController();
    attachState(request, {
      // Made by genReqId: see app.ts.
      requestId: request.id as RequestId,
      startedAt: monotonicNow(),
      signal: controller.signal,
      principal: null,
      usage: newUsage(newExplanation(request.method, request.routeOptions.url ?? '')),
      failure: null,
      unadmittedBytes: 0,
      settleTokens: () => {},
      release: () => {},
      settlement: null,
    });
    const state = stateOf(request);
    const reader = watchReader(reply.raw, stallMs);
    reply.raw.once('close', () => {
      reader.stop();
      state.release();
      // Kept alive for the client's next request, the connection would keep the server from closing.
      if (isDraining()) setImmediate(() => app.server.closeIdleConnections());
      if (reply.raw.writableFinished) return;
      state.failure ??= new BulkheadError('client_closed', 'The client left.');
      controller.abort(new DOMException('The client left.', 'AbortError'));
      void accounting.settle(state, 499);
    });
    reply.header('x-request-id', state.requestId);
    reply.header('x-content-type-options', 'nosniff');
    reply.header('cache-control', 'no-store');
    stripInternalHeaders(request.headers);
    if (isDraining() && !PROBES.has(request.url)) {
      reply.header('connection', 'close');
      done(new BulkheadError('shutting_down', 'The service is shutting down.', { retryAfterMs: 1_000 }));
      // Here, and not when its body was read: nobody has asked who is sending it.
    } else if (request.is404) done(noSuchRoute(request));
    else done();
  });

  // The answer waits for its ledger row. Streams are hijacked and settle by themselves.
  app.addHook('onSend', (request, reply, payload, done) => {
    const send = () => {
      endWhenStalled(reply.raw, payload instanceof Readable ? FILE_STALL_MS : undefined);
      done();
    };
    const state = findState(request);
    if (state === undefined) send();
    else void accounting.settle(state, reply.statusCode).then(send, done);
  });

  // Requests of tenants have their metrics line. The rest, operators' and strangers', are told here.
  app.addHook('onResponse', (request, reply, done) => {
    const state = findState(request);
    if (state === undefined || state.principal?.kind === 'tenant' || PROBES.has(request.url)) {
      done();
      return;
    }
    logger.info(
      {
        event: 'http',
        request_id: state.requestId,
        method: request.method,
        route: request.routeOptions.url ?? null,
        status: reply.statusCode,
        latency_ms: Math.round(monotonicNow() - state.startedAt),
        ...(state.principal === null ? {} : { key_id: state.principal.keyId }),
        ...(state.failure === null ? {} : { code: state.failure.code }),
      },
      `${request.method} ${reply.statusCode}`,
    );
    done();
  });
}
