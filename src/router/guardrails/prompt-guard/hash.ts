/** The empty text’s hash. */
export const FNV_START = 0x811c9dc5;

/** FNV-1a: the hash of a text that is one UTF-16 unit longer, 32 bits with a sign. */
export const withUnit = (hash: number, unit: number): number => Math.imul(hash ^ unit, 0x01000193);

/** FNV-1a over UTF-16 units, 32 bits. */
export function hashOf(text: string): number {
  let hash = FNV_START;
  for (let index = 0; index < text.length; index++) hash = withUnit(hash, text.charCodeAt(index));
  return hash >>> 0;
}

/**
 * The finaliser of MurmurHash3, seeded: 32 bits with a sign. Numbers without one may need more than a register, which costs what
 * is asked for every word.
 */
export function mixSigned(value: number, seed: number): number {
  let hash = value ^ Math.imul(seed, 0x9e3779b1);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

/** Two hashes, in order, as one: 32 bits with a sign. */
export const pairSigned = (first: number, second: number, seed: number): number =>
  mixSigned(Math.imul(first, 0x2c1b3c6d) ^ second, seed);

/** As {@link mixSigned}, without a sign. */
export const mix = (value: number, seed: number): number => mixSigned(value, seed) >>> 0;

/** As {@link pairSigned}, without a sign. */
export const pair = (first: number, second: number, seed: number): number =>
  pairSigned(first, second, seed) >>> 0;
