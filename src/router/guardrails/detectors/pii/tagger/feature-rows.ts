import { LABEL_COUNT } from '#router/guardrails/detectors/pii/tagger/labels.ts';

/** Rows of {@link LABEL_COUNT} int8 weights, by the features that have them. */
export type FeatureRows = Readonly<{
  /** A bit for every {@link FILTER_BITS} bits of a feature: many features have no row, and this says so from a small table. */
  filter: Uint32Array;
  /**
   * Open addressing: weights with {@link BIAS} added, four to a number, then the feature, then 1 where there is a row. A row is
   * half a line of the processor's cache: one read brings all of it.
   */
  table: Uint32Array;
}>;

/** Numbers of a row's weights: {@link LABEL_COUNT} bytes, filled up. */
export const ROW_NUMBERS = 6;
const KEY = ROW_NUMBERS;
const USED = ROW_NUMBERS + 1;
const STRIDE = ROW_NUMBERS + 2;
/** What is added to each weight, so that none is negative and sums of bytes never borrow from each other. */
const BIAS = 128;
const FILTER_BITS = 22;
/** Every other byte, each with room for the sum of a token's features. */
const LANES = 0x00ff00ff;

/** Lays rows out as they are read and summed. `keys` are the features, one for each row of weights. */
export function layRows(keys: Uint32Array, weights: Int8Array): FeatureRows {
  const size = 2 ** Math.ceil(Math.log2(keys.length * 1.3 + 2));
  const table = new Uint32Array(size * STRIDE);
  const filter = new Uint32Array(2 ** FILTER_BITS / 32);
  for (const [row, key] of keys.entries()) {
    let slot = key & (size - 1);
    while (table[slot * STRIDE + USED] !== 0) slot = (slot + 1) & (size - 1);
    table[slot * STRIDE + KEY] = key;
    table[slot * STRIDE + USED] = 1;
    const bit = key >>> (32 - FILTER_BITS);
    filter[bit >>> 5] = (filter[bit >>> 5] ?? 0) | (1 << (bit & 31));
    for (let label = 0; label < LABEL_COUNT; label++) {
      const at = slot * STRIDE + (label >> 2);
      const byte = (weights[row * LABEL_COUNT + label] ?? 0) + BIAS;
      table[at] = (table[at] ?? 0) | (byte << ((label & 3) * 8));
    }
  }
  return { filter, table };
}

/**
 * Adds the rows of `features[from … to]` to `sums`, two labels at a time: six reads and twelve additions a row instead of
 * twenty-one of each. Returns how many of them have a row.
 */
export function addRows(
  { filter, table }: FeatureRows,
  features: Uint32Array,
  from: number,
  to: number,
  sums: Int32Array,
): number {
  const mask = table.length / STRIDE - 1;
  let found = 0;
  // Sums in variables: this runs for every word, and an array of them would cost more than the sums.
  let a0 = sums[0] ?? 0;
  let b0 = sums[1] ?? 0;
  let a1 = sums[2] ?? 0;
  let b1 = sums[3] ?? 0;
  let a2 = sums[4] ?? 0;
  let b2 = sums[5] ?? 0;
  let a3 = sums[6] ?? 0;
  let b3 = sums[7] ?? 0;
  let a4 = sums[8] ?? 0;
  let b4 = sums[9] ?? 0;
  let a5 = sums[10] ?? 0;
  let b5 = sums[11] ?? 0;
  for (let place = from; place < to; place++) {
    const key = features[place] ?? 0;
    if ((((filter[key >>> (37 - FILTER_BITS)] ?? 0) >>> ((key >>> (32 - FILTER_BITS)) & 31)) & 1) === 0)
      continue;
    let at = (key & mask) * STRIDE;
    while (table[at + KEY] !== key && table[at + USED] !== 0) at = ((at / STRIDE + 1) & mask) * STRIDE;
    if (table[at + USED] === 0) continue;
    found++;
    const n0 = table[at] ?? 0;
    const n1 = table[at + 1] ?? 0;
    const n2 = table[at + 2] ?? 0;
    const n3 = table[at + 3] ?? 0;
    const n4 = table[at + 4] ?? 0;
    const n5 = table[at + 5] ?? 0;
    a0 = (a0 + (n0 & LANES)) | 0;
    b0 = (b0 + ((n0 >>> 8) & LANES)) | 0;
    a1 = (a1 + (n1 & LANES)) | 0;
    b1 = (b1 + ((n1 >>> 8) & LANES)) | 0;
    a2 = (a2 + (n2 & LANES)) | 0;
    b2 = (b2 + ((n2 >>> 8) & LANES)) | 0;
    a3 = (a3 + (n3 & LANES)) | 0;
    b3 = (b3 + ((n3 >>> 8) & LANES)) | 0;
    a4 = (a4 + (n4 & LANES)) | 0;
    b4 = (b4 + ((n4 >>> 8) & LANES)) | 0;
    a5 = (a5 + (n5 & LANES)) | 0;
    b5 = (b5 + ((n5 >>> 8) & LANES)) | 0;
  }
  sums[0] = a0;
  sums[1] = b0;
  sums[2] = a1;
  sums[3] = b1;
  sums[4] = a2;
  sums[5] = b2;
  sums[6] = a3;
  sums[7] = b3;
  sums[8] = a4;
  sums[9] = b4;
  sums[10] = a5;
  sums[11] = b5;
  return found;
}

/** One label's part of the sums of so many rows. */
export function sumOf(sums: Int32Array, label: number, rows: number): number {
  const pairSum = sums[(label >> 2) * 2 + (label & 1)] ?? 0;
  return (((label & 2) === 0 ? pairSum : pairSum >>> 16) & 0xffff) - BIAS * rows;
}
