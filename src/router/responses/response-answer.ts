import type { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { TurnBatch } from '#app/schemas/turn.ts';
import { sseEvent } from '#router/http/sse-writer.ts';
import type { ResponseObject } from '#router/responses/response-schema.ts';
import type { ResponseEvent, ResponseWriter } from '#router/responses/response-writer.ts';

/** Keeps the response, where it is to be kept; whether it is. Never throws. */
export type KeepResponse = (response: ResponseObject) => Promise<boolean>;

/** The whole response at once. */
export async function responseAnswer(
  batches: AsyncIterable<TurnBatch>,
  writer: ResponseWriter,
  keep: KeepResponse,
): Promise<ResponseObject> {
  for await (const events of batches) for (const event of events) writer.take(event);
  writer.isKept = await keep(writer.response);
  return writer.response;
}

/** The response as its events. Returns the last of them, when the response is kept: its reader may refer to it at once. */
export async function* responseFrames(
  batches: AsyncIterable<TurnBatch>,
  writer: ResponseWriter,
  keep: KeepResponse,
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
    if (last === undefined) continue;
    writer.isKept = await keep(writer.response);
    return framesOf([{ ...last, response: writer.response }]);
  }
  throw new Error('The turn has no end.');
}

/** The end of a response that failed after it had begun. */
export const responseErrorFrames = (error: BulkheadError, writer: ResponseWriter): string =>
  framesOf(writer.fail(error));

const framesOf = (events: readonly ResponseEvent[]): string =>
  events.map((event) => sseEvent(event.type, event)).join('');
