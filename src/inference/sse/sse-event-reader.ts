import { createParser, type EventSourceMessage, type EventSourceParser } from 'eventsource-parser';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';

/** The longest event that is taken in, characters: whole tool calls and log probabilities are far shorter. */
export const MAX_EVENT_CHARACTERS = 4 * 1_024 * 1_024;

/**
 * Bytes of an event stream as events. Characters and lines may be split over chunks at any byte; comments are
 * passed over; what follows the last blank line is no event.
 */
export class SseEventReader {
  // Invalid bytes become replacement characters: one bad character must not cost the answer.
  readonly #decoder = new TextDecoder();
  readonly #parser: EventSourceParser;
  #ready: EventSourceMessage[] = [];
  #isTooLong = false;

  constructor(maxEventCharacters: number = MAX_EVENT_CHARACTERS) {
    this.#parser = createParser({
      maxBufferSize: maxEventCharacters,
      onEvent: (event) => this.#ready.push(event),
      onError: ({ type }) => {
        this.#isTooLong ||= type === 'max-buffer-size-exceeded';
      },
    });
  }

  /** The events that these bytes complete. Throws `engine_error` for an event that is too long. */
  feed(bytes: Uint8Array): readonly EventSourceMessage[] {
    if (!this.#isTooLong) this.#parser.feed(this.#decoder.decode(bytes, { stream: true }));
    const events = this.#ready;
    // Those before the one that is too long are given out first.
    if (this.#isTooLong && events.length === 0) {
      throw new BulkheadError('engine_error', 'The inference engine sent an event that is too long.');
    }
    if (events.length > 0) this.#ready = [];
    return events;
  }
}
