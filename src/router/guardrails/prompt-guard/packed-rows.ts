/** Units of a row: four numbers of four bytes each. */
export const PACKED_UNITS = 16;
const ROW_NUMBERS = PACKED_UNITS / 4;
/** What is added to each weight, so that none is negative and sums of bytes never borrow from each other. */
const BIAS = 128;
/** Every other byte, each with room for a sum of {@link MAX_ROWS} bytes. */
const LANES = 0x00ff00ff;
const MAX_ROWS = 256;

/** Rows of {@link PACKED_UNITS} int8 weights, four to a number. */
export function packRows(weights: Int8Array): Uint32Array {
  const packed = new Uint32Array(weights.length / 4);
  for (let at = 0; at < weights.length; at++) {
    packed[at >> 2] = (packed[at >> 2] ?? 0) | (((weights[at] ?? 0) + BIAS) << ((at & 3) * 8));
  }
  return packed;
}

/**
 * Adds the features’ rows to `sums`, two units at a time: four reads and eight additions a feature instead of sixteen of each.
 * The number of rows must be a power of two; features are taken modulo it.
 */
export function addPackedRows(packed: Uint32Array, features: Uint32Array, sums: Float64Array): void {
  for (let from = 0; from < features.length; from += MAX_ROWS)
    addSome(packed, features, from, Math.min(features.length, from + MAX_ROWS), sums);
}

/** Sums in variables: this runs for every word, and an array of them would cost more than the sums. */
function addSome(packed: Uint32Array, features: Uint32Array, from: number, to: number, sums: Float64Array) {
  const rowMask = packed.length / ROW_NUMBERS - 1;
  let a0 = 0;
  let b0 = 0;
  let a1 = 0;
  let b1 = 0;
  let a2 = 0;
  let b2 = 0;
  let a3 = 0;
  let b3 = 0;
  for (let index = from; index < to; index++) {
    const at = ((features[index] ?? 0) & rowMask) * ROW_NUMBERS;
    const n0 = packed[at] ?? 0;
    const n1 = packed[at + 1] ?? 0;
    const n2 = packed[at + 2] ?? 0;
    const n3 = packed[at + 3] ?? 0;
    a0 = (a0 + (n0 & LANES)) | 0;
    b0 = (b0 + ((n0 >>> 8) & LANES)) | 0;
    a1 = (a1 + (n1 & LANES)) | 0;
    b1 = (b1 + ((n1 >>> 8) & LANES)) | 0;
    a2 = (a2 + (n2 & LANES)) | 0;
    b2 = (b2 + ((n2 >>> 8) & LANES)) | 0;
    a3 = (a3 + (n3 & LANES)) | 0;
    b3 = (b3 + ((n3 >>> 8) & LANES)) | 0;
  }
  const bias = BIAS * (to - from);
  addLanes(sums, 0, a0, b0, bias);
  addLanes(sums, 4, a1, b1, bias);
  addLanes(sums, 8, a2, b2, bias);
  addLanes(sums, 12, a3, b3, bias);
}

function addLanes(sums: Float64Array, unit: number, even: number, odd: number, bias: number): void {
  sums[unit] = (sums[unit] ?? 0) + (even & 0xffff) - bias;
  sums[unit + 1] = (sums[unit + 1] ?? 0) + (odd & 0xffff) - bias;
  sums[unit + 2] = (sums[unit + 2] ?? 0) + (even >>> 16) - bias;
  sums[unit + 3] = (sums[unit + 3] ?? 0) + (odd >>> 16) - bias;
}
