import type { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { TurnBatch } from '#app/schemas/turn.ts';
import { sseEvent } from '#router/http/sse-writer.ts';
import type { ResponseObject } from '#router/responses/response-schema.ts';
import type { ResponseEvent, ResponseWriter } from '#router/responses/response-writer.ts';

/** The whole response at once. */
export async function responseAnswer(
  batches: AsyncIterable<TurnBatch>,
  writer: ResponseWriter,
): Promise<ResponseObject> {
  for await (const events of batches) for (const event of events) writer.take(event);
  return writer.response;
}

/** The response as its events. Returns the last of them. */
export async function* responseFrames(
  batches: AsyncIterable<TurnBatch>,
  writer: ResponseWriter,
): AsyncGenerator<string, string> {
  for await (const events of batches) {
    let frames = '';
    let last: ResponseEvent | undefined;
    for (const event of events) {
      const told = writer.take(event);
      if (event.type === 'finished') last = told.pop();
      frames += framesOf(told);
    }
    if (frames !== '') yield frames;
    if (last !== undefined) return framesOf([last]);
  }
  throw new Error('The turn has no end.');
}

/** The end of a response that failed after it had begun. */
export const responseErrorFrames = (error: BulkheadError, writer: ResponseWriter): string =>
  framesOf(writer.fail(error));

const framesOf = (events: readonly ResponseEvent[]): string =>
  events.map((event) => sseEvent(event.type, event)).join('');
