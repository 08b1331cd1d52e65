import { randomInt } from 'node:crypto';

/**
 * Objects, lists, names and texts of one JSON text: twice what 10,000 messages take. Checking each of them takes a microsecond
 * or more, in one piece, and nobody else is served meanwhile: four megabytes of `[]` are 1.4 million.
 */
export const MAX_JSON_VALUES = 100_000;
/**
 * Different names of fields: twice what OpenAI takes in a schema. To a parser each new one is a new kind of object, or makes
 * its object a table: 90,000 of them took 0.1 to 0.25 seconds to parse, and as long again to look at.
 */
export const MAX_JSON_NAMES = 10_000;

/** A value takes two bytes at least; so many different names, with a value, seven each. */
const BYTES_UNCOUNTED = 7 * MAX_JSON_NAMES;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_LIST = 0x5b;
const OPEN_OBJECT = 0x7b;
const COLON = 0x3a;
const BLANKS: ReadonlySet<number | undefined> = new Set([0x20, 0x09, 0x0a, 0x0d]);

/** What there is too much of. */
export type JsonExcess = 'values' | 'names';

/**
 * Counts what is in one JSON text or several together, before any of it is parsed. Numbers do not count: lists of tokens are long,
 * and quickly read. Looks at bytes alone; what is no JSON is for the parser to say. The first 70,000 bytes are
 * let pass uncounted: nearly all bodies are smaller.
 */
export class JsonMeter {
  #bytes = 0;
  #values = 0;
  #names: NameTable | null = null;

  /** What there is too much of with this text; null: nothing. Then it may be parsed. */
  take(json: Uint8Array | string): JsonExcess | null {
    // A text has at least as many bytes as characters, and the uncounted part need not be exact.
    this.#bytes += json.length;
    if (this.#bytes <= BYTES_UNCOUNTED) return null;
    this.#names ??= new NameTable();
    return this.#count(typeof json === 'string' ? Buffer.from(json) : json, this.#names);
  }

  #count(json: Uint8Array, names: NameTable): JsonExcess | null {
    for (let at = 0; at < json.length; at++) {
      const byte = json[at];
      if (byte === QUOTE) {
        const start = at + 1;
        at = endOfText(json, start);
        let next = at + 1;
        while (BLANKS.has(json[next])) next += 1;
        if (json[next] === COLON && names.add(json, start, at) > MAX_JSON_NAMES) return 'names';
      } else if (byte !== OPEN_LIST && byte !== OPEN_OBJECT) continue;
      this.#values += 1;
      if (this.#values > MAX_JSON_VALUES) return 'values';
    }
    return null;
  }
}

/** A text that has gone on for so long is searched for its end natively: prose has few quotes. */
const LONG_TEXT = 256;

/** Where the quote is that ends a text. */
function endOfText(json: Uint8Array, start: number): number {
  for (let at = start; ; ) {
    for (const pause = Math.min(json.length, at + LONG_TEXT); at < pause; at++) {
      const byte = json[at];
      if (byte === QUOTE) return at;
      if (byte === BACKSLASH) at += 1;
    }
    if (at >= json.length) return json.length;
    const quote = json.indexOf(QUOTE, at);
    if (quote === -1) return json.length;
    let slashes = quote;
    while (slashes > at && json[slashes - 1] === BACKSLASH) slashes -= 1;
    if ((quote - slashes) % 2 === 0) return quote;
    at = quote + 1;
  }
}

const SLOTS = 2 ** 15;
const EMPTY = 0;
// Different in each process, so that nobody can work out names that are taken for one another.
const SEED = randomInt(2 ** 31);
const MULTIPLIER = randomInt(2 ** 30) * 2 + 1;

/** Different names, by their hashes: nothing is allocated for any of them. */
class NameTable {
  readonly #slots = new Int32Array(SLOTS);
  #size = 0;

  /** How many there are now. */
  add(bytes: Uint8Array, start: number, end: number): number {
    let hash = SEED;
    for (let at = start; at < end; at++) hash = Math.imul(hash ^ (bytes[at] ?? 0), MULTIPLIER);
    if (hash === EMPTY) hash = 1;
    let slot = (hash >>> 15) % SLOTS;
    while (this.#slots[slot] !== EMPTY && this.#slots[slot] !== hash) slot = (slot + 1) % SLOTS;
    if (this.#slots[slot] === EMPTY) {
      this.#slots[slot] = hash;
      this.#size += 1;
    }
    return this.#size;
  }
}
