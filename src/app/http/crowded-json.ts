/**
 * Objects, lists, names and texts of one JSON text: twice what 10,000 messages take. Checking each of them takes a microsecond
 * or more, in one piece, and nobody else is served meanwhile: four megabytes of `[]` are 1.4 million.
 */
export const MAX_JSON_VALUES = 100_000;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_LIST = 0x5b;
const OPEN_OBJECT = 0x7b;

/**
 * Whether JSON holds more than {@link MAX_JSON_VALUES}. Numbers do not count: lists of tokens are long, and quickly read. Looks
 * at bytes alone, so that what is too much is never parsed; what is no JSON is for the parser to say.
 */
export function isCrowded(json: Uint8Array): boolean {
  // Each takes two bytes.
  if (json.length <= 2 * MAX_JSON_VALUES) return false;
  let values = 0;
  for (let at = 0; at < json.length; at++) {
    const byte = json[at];
    if (byte === QUOTE) {
      at += 1;
      for (; at < json.length && json[at] !== QUOTE; at++) if (json[at] === BACKSLASH) at += 1;
    } else if (byte !== OPEN_LIST && byte !== OPEN_OBJECT) continue;
    values += 1;
    if (values > MAX_JSON_VALUES) return true;
  }
  return false;
}
