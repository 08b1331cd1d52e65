import { pair } from '#router/guardrails/prompt-guard/hash.ts';

/** What lists of names, places and words say a word may be; one bit each. */
export const GAZETTEER_TYPES = [
  'first_name',
  'last_name',
  'city',
  'country',
  'state',
  'nationality',
  'company',
  'company_word',
  'street_word',
  'honorific',
  'job',
  'month',
] as const;
export type GazetteerType = (typeof GAZETTEER_TYPES)[number];

/** Names of more words than this are in no list. */
export const MAX_GAZETTEER_WORDS = 4;

/** Bits by the hash of one word, or of several in a row. */
export type Gazetteer = Readonly<{ find: (hash: number) => number }>;

/** The hash of a name of several words, one word longer. */
export const withNextWord = (hash: number, word: number): number => pair(hash, word, 97);

/** Entries sorted by hash: uint32 hashes, then uint16 bits. */
export function encodeGazetteer(entries: ReadonlyMap<number, number>): Uint8Array {
  const sorted = [...entries].sort(([left], [right]) => left - right);
  const bytes = new Uint8Array(4 + sorted.length * 6);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, sorted.length, true);
  for (const [index, [hash, bits]] of sorted.entries()) {
    view.setUint32(4 + index * 4, hash, true);
    view.setUint16(4 + sorted.length * 4 + index * 2, bits, true);
  }
  return bytes;
}

/** Bits of a hash that the filter tells apart. */
const FILTER_BITS = 20;

/** Throws where the bytes are no such list. */
export function decodeGazetteer(bytes: Uint8Array): Gazetteer {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = bytes.length >= 4 ? view.getUint32(0, true) : -1;
  if (bytes.length !== 4 + count * 6) throw new TypeError('The gazetteer is cut short.');
  // Open addressing, at most half full.
  const size = 2 ** Math.ceil(Math.log2(count * 2 + 1));
  const keys = new Uint32Array(size);
  const values = new Uint16Array(size);
  // Most words are in no list, and this says so from a small table.
  const filter = new Uint32Array(2 ** FILTER_BITS / 32);
  for (let index = 0; index < count; index++) {
    const key = view.getUint32(4 + index * 4, true) || 1;
    let slot = key & (size - 1);
    while (keys[slot] !== 0 && keys[slot] !== key) slot = (slot + 1) & (size - 1);
    keys[slot] = key;
    const bit = key >>> (32 - FILTER_BITS);
    filter[bit >>> 5] = (filter[bit >>> 5] ?? 0) | (1 << (bit & 31));
    values[slot] = (values[slot] ?? 0) | view.getUint16(4 + count * 4 + index * 2, true);
  }
  const find = (hash: number): number => {
    const key = hash >>> 0 || 1;
    const bit = key >>> (32 - FILTER_BITS);
    if ((((filter[bit >>> 5] ?? 0) >>> (bit & 31)) & 1) === 0) return 0;
    let slot = key & (size - 1);
    while (keys[slot] !== 0) {
      if (keys[slot] === key) return values[slot] ?? 0;
      slot = (slot + 1) & (size - 1);
    }
    return 0;
  };
  return { find };
}
