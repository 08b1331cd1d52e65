import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';

/** The longest event that is taken in, characters: whole tool calls and log probabilities are far shorter. */
export const MAX_EVENT_CHARACTERS = 4 * 1_024 * 1_024;

/**
 * Bytes of an event stream as events. Characters and lines may be split over chunks at any byte; comments are
 * passed over; what follows the last blank line is no event. Throws `engine_error` when an event is too long.
 */
export async function* readSseEvents(
  bytes: AsyncIterable<Uint8Array>,
  maxEventCharacters: number = MAX_EVENT_CHARACTERS,
): AsyncGenerator<EventSourceMessage, void, undefined> {
  // Invalid bytes become replacement characters: one bad character must not cost the answer.
  const decoder = new TextDecoder();
  let ready: EventSourceMessage[] = [];
  let tooLong = false;
  const parser = createParser({
    maxBufferSize: maxEventCharacters,
    onEvent: (event) => ready.push(event),
    onError: ({ type }) => {
      tooLong ||= type === 'max-buffer-size-exceeded';
    },
  });
  for await (const chunk of bytes) {
    parser.feed(decoder.decode(chunk, { stream: true }));
    if (ready.length > 0) {
      const events = ready;
      ready = [];
      yield* events;
    }
    if (tooLong) {
      throw new BulkheadError('engine_error', 'The inference engine sent an event that is too long.');
    }
  }
}
