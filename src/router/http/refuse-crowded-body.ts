import { BulkheadError } from '#app/errors/bulkhead-error.ts';

/**
 * Objects, lists, names and texts of one body: twice what 10,000 messages take. Checking each of them takes a microsecond or
 * more, in one piece, and nobody else is served meanwhile: four megabytes of `[]` are 1.4 million.
 */
const MAX_VALUES = 100_000;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_LIST = 0x5b;
const OPEN_OBJECT = 0x7b;

/**
 * Throws `invalid_request` for JSON of too many values. Numbers do not count: lists of tokens are long, and quickly read. Looks
 * at bytes alone, so that what is refused is never parsed; what is no JSON is for the parser to say.
 */
export function refuseCrowdedBody(body: Uint8Array): void {
  let values = 0;
  for (let at = 0; at < body.length; at++) {
    const byte = body[at];
    if (byte === QUOTE) {
      at += 1;
      for (; at < body.length && body[at] !== QUOTE; at++) if (body[at] === BACKSLASH) at += 1;
    } else if (byte !== OPEN_LIST && byte !== OPEN_OBJECT) continue;
    values += 1;
    if (values > MAX_VALUES) {
      throw new BulkheadError(
        'invalid_request',
        `The body holds more than ${MAX_VALUES} objects, lists, names and texts.`,
      );
    }
  }
}
