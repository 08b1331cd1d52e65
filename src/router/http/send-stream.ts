import { setTimeout as delay } from 'node:timers/promises';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { BulkheadError, isAbort } from '#app/errors/bulkhead-error.ts';
import { toBulkheadError } from '#app/http/to-bulkhead-error.ts';
import type { Logger } from '#observability/logger.ts';
import type { Accounting } from '#router/http/accounting.ts';
import { logFailure } from '#router/http/error-handler.ts';
import { stateOf } from '#router/http/request-state.ts';
import { openSse } from '#router/http/sse-writer.ts';

/** Up to this long the status line waits for the first frame, so that an early failure gets its own status. */
const HEADERS_WAIT_MS = 10_000;

/**
 * Sends frames as an event stream. A failure before the first frame is thrown, and answered like all others; one
 * after it becomes the frame that `errorFrame` makes. What the generator returns is sent last, after the
 * request's ledger row is written: a client that has the end of a stream can rely on its being counted.
 */
export async function sendStream(options: {
  request: FastifyRequest;
  reply: FastifyReply;
  frames: AsyncGenerator<string, string>;
  errorFrame: (error: BulkheadError) => string;
  accounting: Accounting;
  logger: Logger;
  keepAliveMs?: number;
}): Promise<void> {
  const { request, reply, frames, errorFrame, accounting, logger } = options;
  const state = stateOf(request);
  let pending = frames.next();
  await untilSettled(pending, HEADERS_WAIT_MS);
  // Waiting is over: from here on this function owns the response.
  reply.hijack();
  const sse = openSse({
    response: reply.raw,
    headers: reply.getHeaders(),
    signal: state.signal,
    ...(options.keepAliveMs === undefined ? {} : { keepAliveMs: options.keepAliveMs }),
  });
  try {
    let next = await pending;
    while (!next.done) {
      await sse.write(next.value);
      pending = frames.next();
      next = await pending;
    }
    await accounting.settle(state, 200);
    await sse.write(next.value);
  } catch (error) {
    // The generator may wait on the engine: returning ends its call. It has its own reasons to fail by now.
    void frames.return('').catch(() => undefined);
    const { reason } = state.signal;
    const isLeft = !(reason instanceof BulkheadError);
    if (state.signal.aborted && isLeft && (isAbort(error) || state.failure?.code === 'client_closed')) {
      await accounting.settle(state, 499);
      return;
    }
    const known = isLeft ? toBulkheadError(error) : reason;
    logFailure(logger, request, known, error);
    state.failure ??= known;
    await accounting.settle(state, known.status);
    sse.end(errorFrame(known));
  } finally {
    sse.end();
  }
}

/** Rethrows a failure that comes in time. */
async function untilSettled(work: Promise<unknown>, milliseconds: number): Promise<void> {
  const timer = new AbortController();
  try {
    await Promise.race([
      work,
      delay(milliseconds, undefined, { signal: timer.signal }).catch(() => undefined),
    ]);
  } finally {
    timer.abort();
    // Handled by whoever awaits it next; until then it is not "unhandled".
    work.catch(() => undefined);
  }
}
