import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { Drain } from '#app/http/drain.ts';
import type { RequestId } from '#app/ids.ts';
import type { Tracing } from '#app/trace.ts';
import type { Logger } from '#observability/logger.ts';
import type { MetricsExporter } from '#observability/metrics.ts';
import type { Accounting } from '#router/http/accounting.ts';
import { endWhenStalled, FILE_STALL_MS } from '#router/http/end-when-stalled.ts';
import { sendError } from '#router/http/error-handler.ts';
import { noSuchRoute } from '#router/http/no-such-route.ts';
import { attachState, findState, newUsage, stateOf } from '#router/http/request-state.ts';
import { beginTrace, endTrace } from '#router/http/request-trace.ts';
import { stripInternalHeaders } from '#router/http/strip-internal-headers.ts';
import { watchReader } from '#router/http/watch-reader.ts';
import { newExplanation } from '#router/request-log/explanation.ts';

/** Too many to be logged. */
const PROBES: ReadonlySet<string> = new Set(['/healthz', '/readyz']);

/** So long a request has to end by itself when the drain time is over, milliseconds. */
const UNHEEDED_MS = 1_000;

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
    drain: Drain;
    /** Whether the app is closed by itself, with no one who sees to its connections. */
    closesConnections: () => boolean;
    logger: Logger;
    /** A client that takes nothing of its answer for so long is cut off. */
    stallMs: number;
    /** Absent: no traces. */
    tracing?: Tracing | undefined;
    /** Counts requests of no tenant. */
    metricsExporter?: MetricsExporter | undefined;
  },
): void {
  const { accounting, monotonicNow, drain, closesConnections, logger, stallMs, tracing, metricsExporter } =
    options;

  app.addHook('onRequest', (request, reply, done) => {
    const controller = new AbortController();
    const begun = tracing === undefined || PROBES.has(request.url) ? null : beginTrace(tracing, request);
    attachState(request, {
      // Made by genReqId: see app.ts.
      requestId: request.id as RequestId,
      startedAt: monotonicNow(),
      signal: controller.signal,
      begun,
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
    const forget = drain.onEnd((reason) => {
      state.failure ??= reason;
      controller.abort(reason);
      // What does not heed the signal is answered for.
      const answer = () => {
        if (!reply.sent && !reply.raw.headersSent) sendError(request, reply, reason);
      };
      setTimeout(answer, UNHEEDED_MS).unref();
    });
    reply.raw.once('close', () => {
      forget();
      reader.stop();
      state.release();
      // Kept alive for the client's next request, the connection would keep the server from closing.
      if (closesConnections()) setImmediate(() => app.server.closeIdleConnections());
      if (reply.raw.writableFinished) return;
      state.failure ??= new BulkheadError('client_closed', 'The client left.');
      controller.abort(new DOMException('The client left.', 'AbortError'));
      void accounting.settle(state, 499);
    });
    if (begun !== null) {
      reply.header('x-trace-id', begun.trace.traceId);
      // The last of all listeners: what they do is in the trace.
      reply.raw.once('close', () => endTrace(begun, state, request, reply));
    }
    reply.header('x-request-id', state.requestId);
    reply.header('x-content-type-options', 'nosniff');
    reply.header('cache-control', 'no-store');
    stripInternalHeaders(request.headers);
    // Here, and not when its body was read: nobody has asked who is sending it.
    if (request.is404) done(noSuchRoute(request));
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
    const figures = state.principal === null ? metricsExporter?.anonymous(reply.statusCode) : undefined;
    logger.info(
      {
        ...figures,
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
