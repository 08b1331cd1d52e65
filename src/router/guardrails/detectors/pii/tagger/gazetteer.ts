import { pair } from '#router/guardrails/prompt-guard/hash.ts';

/** What lists of names, places and words say a word may be; one bit each, below {@link BEGINS_LONGER}. */
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
  'town',
  'organization_word',
] as const;
export type GazetteerType = (typeof GAZETTEER_TYPES)[number];

/** Names of more words than this are in no list. */
export const MAX_GAZETTEER_WORDS = 5;

/** A word with which a listed name of several words begins: after any other, none need be looked for. */
export const BEGINS_LONGER = 1 << 15;

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

/** Throws where the bytes are no such list. */
export function decodeGazetteer(bytes: Uint8Array): Gazetteer {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = bytes.length >= 4 ? view.getUint32(0, true) : -1;
  if (bytes.length !== 4 + count * 6) throw new TypeError('The gazetteer is cut short.');
  // Open addressing, at most half full.
  const size = 2 ** Math.ceil(Math.log2(count * 2 + 1));
  const keys = new Uint32Array(size);
  const values = new Uint16Array(size);
  for (let index = 0; index < count; index++) {
    const key = view.getUint32(4 + index * 4, true) || 1;
    let slot = key & (size - 1);
    while (keys[slot] !== 0 && keys[slot] !== key) slot = (slot + 1) & (size - 1);
    keys[slot] = key;
    values[slot] = (values[slot] ?? 0) | view.getUint16(4 + count * 4 + index * 2, true);
  }
  const find = (hash: number): number => {
    const key = hash >>> 0 || 1;
    let slot = key & (size - 1);
    while (keys[slot] !== 0) {
      if (keys[slot] === key) return values[slot] ?? 0;
      slot = (slot + 1) & (size - 1);
    }
    return 0;
  };
  return { find };
}
