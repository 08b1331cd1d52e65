import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { TurnBatch } from '#app/schemas/turn.ts';

/** The same error about another field: turns speak of `messages.3`, and a surface may have no messages. */
export function renameParam(error: unknown, rename: (param: string) => string): unknown {
  if (!(error instanceof BulkheadError) || error.param === undefined) return error;
  const { code, param, refusal, retryAfterMs } = error;
  const renamed = rename(param);
  if (renamed === param) return error;
  const message = error.message.startsWith(`${param}:`)
    ? renamed + error.message.slice(param.length)
    : error.message;
  return new BulkheadError(code, message, {
    param: renamed,
    cause: error,
    ...(refusal === undefined ? {} : { refusal }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

/** A turn's events, with failures that name the surface's own fields. Leaving the loop leaves the turn. */
export async function* withRenamedParams(
  events: AsyncIterable<TurnBatch>,
  rename: (param: string) => string,
): AsyncGenerator<TurnBatch, void> {
  try {
    yield* events;
  } catch (error) {
    throw renameParam(error, rename);
  }
}
