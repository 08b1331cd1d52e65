import { once } from 'node:events';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { BulkheadError, isAbort } from '#app/errors/bulkhead-error.ts';
import { openAIErrorBody } from '#app/errors/error-body.ts';
import { contextOf, parseCall, signalOf } from '#app/http/build-internal-app.ts';
import { FORWARDED_RAG_TOKEN_HEADER } from '#app/http/internal-token.ts';
import { toBulkheadError } from '#app/http/to-bulkhead-error.ts';
import { turnRequestSchema } from '#app/schemas/turn.ts';
import { ORCHESTRATOR_PATHS, TURN_MEDIA_TYPE, type TurnLine } from '#app/services/orchestrator-http.ts';
import type { OrchestratorRouteOptions } from '#orchestrator/routes/route-options.ts';

/** Silence after which an empty line is sent: the router then knows that the engine is slow, not gone. */
const HEARTBEAT_MS = 15_000;

/**
 * `POST /internal/v1/turn`: the turn's events as JSON lines. A failure before the first event is a plain error
 * answer; after it, the last line says so. When the router leaves, the turn is aborted.
 */
export function runTurnRoute(
  app: FastifyInstance,
  { service, forwardedTokens, logger, heartbeatMs = HEARTBEAT_MS }: OrchestratorRouteOptions,
): void {
  app.post(ORCHESTRATOR_PATHS.turn, async (request, reply) => {
    const turn = parseCall(turnRequestSchema, request.body);
    const context = contextOf(request);
    const ragToken = request.headers[FORWARDED_RAG_TOKEN_HEADER];
    if (typeof ragToken === 'string') {
      forwardedTokens.remember(context, 'rag-service', ragToken);
      reply.raw.once('close', () => forwardedTokens.forget(context));
    }

    const signal = signalOf(reply);
    const events = service.runTurn(context, turn, signal)[Symbol.asyncIterator]();
    // Whatever fails before there is an event is answered as an error with its status.
    let next = await events.next().catch((error: unknown) => {
      if (!signal.aborted || signal.reason instanceof BulkheadError) throw error;
      throw new BulkheadError('client_closed', 'The router left.', { cause: error });
    });
    reply.hijack();
    reply.raw.writeHead(200, { 'content-type': TURN_MEDIA_TYPE, 'cache-control': 'no-store' });
    const heartbeat = setInterval(() => {
      if (!reply.raw.writableNeedDrain) reply.raw.write('\n');
    }, heartbeatMs);
    try {
      for (; next.done !== true; next = await events.next()) {
        heartbeat.refresh();
        await writeLines(reply, next.value, signal);
      }
    } catch (error) {
      const isEnded = signal.reason instanceof BulkheadError;
      if (signal.aborted && !isEnded && (isAbort(error) || error === signal.reason)) return;
      const known = isEnded ? signal.reason : toBulkheadError(error);
      if (known.status >= 500) {
        logger.error(
          { event: 'turn_failed', request_id: context.requestId, err: error },
          'a turn failed midway',
        );
      }
      const failure = { type: 'error', ...openAIErrorBody(known, context.requestId) } as const;
      reply.raw.end(`${JSON.stringify(failure)}\n`);
    } finally {
      clearInterval(heartbeat);
      await events.return?.();
      if (!reply.raw.writableEnded) reply.raw.end();
    }
  });
}

/** Waits when the router reads slower than the engine writes; an abort ends the wait. */
async function writeLines(
  reply: FastifyReply,
  lines: readonly TurnLine[],
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  const text = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
  if (!reply.raw.write(text)) await once(reply.raw, 'drain', { signal });
}
