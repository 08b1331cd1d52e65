import { hashOf } from '#router/guardrails/prompt-guard/hash.ts';

/** `BHWC`, then the format’s version. */
const MAGIC = 0x43574842;
const VERSION = 1;
const HEADER_BYTES = 12;

/**
 * Classes of words of like meaning, by which a classifier recognises an order in words that it was not trained on.
 * 0 is the class of all words that are not in the table.
 */
export type WordClasses = Readonly<{
  /** Of a word’s hash, 32 bits with a sign or without. */
  fineOf: (wordHash: number) => number;
  coarseOf: (wordHash: number) => number;
}>;

/** Little-endian: magic, version, count; then the count’s word hashes (uint32), fine classes (uint16), coarse ones (uint8). */
export function encodeWordClasses(
  words: readonly { word: string; fine: number; coarse: number }[],
): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + words.length * 7);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, VERSION, true);
  view.setUint32(8, words.length, true);
  for (const [index, { word, fine, coarse }] of words.entries()) {
    view.setUint32(HEADER_BYTES + index * 4, hashOf(word), true);
    view.setUint16(HEADER_BYTES + words.length * 4 + index * 2, fine, true);
    view.setUint8(HEADER_BYTES + words.length * 6 + index, coarse);
  }
  return bytes;
}

/** Throws where the bytes are no table of this version. */
export function decodeWordClasses(bytes: Uint8Array): WordClasses {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (
    bytes.length < HEADER_BYTES ||
    view.getUint32(0, true) !== MAGIC ||
    view.getUint32(4, true) !== VERSION
  ) {
    throw new TypeError('This is no table of word classes of version 1.');
  }
  const count = view.getUint32(8, true);
  if (bytes.length !== HEADER_BYTES + count * 7)
    throw new TypeError('The table of word classes is cut short.');
  // Open addressing, at most half full; two words of one hash share the first one's classes.
  const size = 2 ** Math.ceil(Math.log2(count * 2 + 1));
  const keys = new Int32Array(size);
  const classes = new Uint32Array(size);
  for (let index = 0; index < count; index++) {
    const key = view.getInt32(HEADER_BYTES + index * 4, true) || 1;
    let slot = key & (size - 1);
    while (keys[slot] !== 0 && keys[slot] !== key) slot = (slot + 1) & (size - 1);
    if (keys[slot] === key) continue;
    keys[slot] = key;
    classes[slot] =
      (view.getUint16(HEADER_BYTES + count * 4 + index * 2, true) << 8) |
      view.getUint8(HEADER_BYTES + count * 6 + index);
  }
  const find = (wordHash: number): number => {
    const key = wordHash | 0 || 1;
    let slot = key & (size - 1);
    while (keys[slot] !== 0) {
      if (keys[slot] === key) return classes[slot] ?? 0;
      slot = (slot + 1) & (size - 1);
    }
    return 0;
  };
  return { fineOf: (wordHash) => find(wordHash) >>> 8, coarseOf: (wordHash) => find(wordHash) & 0xff };
}
