import { PACKED_UNITS, packRows } from '#router/guardrails/prompt-guard/packed-rows.ts';
import type { PromptGuardWeights } from '#router/guardrails/prompt-guard/prompt-guard-model.ts';

/** `BHPG`, then the format’s version. */
const MAGIC = 0x47504842;
const VERSION = 1;
const HEADER_BYTES = 32;

/** Little-endian: magic, version, sizes, scales and bias; hidden bias and output as float32; then the int8 weights. */
export function encodeWeights(weights: PromptGuardWeights): Uint8Array {
  const { hidden, linear, embedding } = weights;
  if (!(linear instanceof Int8Array && embedding instanceof Int8Array))
    throw new TypeError('Weights in floating point are not written.');
  const bytes = new Uint8Array(HEADER_BYTES + hidden * 8 + linear.length + embedding.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, VERSION, true);
  view.setUint32(8, hidden, true);
  view.setUint32(12, linear.length, true);
  view.setUint32(16, embedding.length, true);
  view.setFloat32(20, weights.linearScale, true);
  view.setFloat32(24, weights.embeddingScale, true);
  view.setFloat32(28, weights.bias, true);
  for (let unit = 0; unit < hidden; unit++) {
    view.setFloat32(HEADER_BYTES + unit * 4, weights.hiddenBias[unit] ?? 0, true);
    view.setFloat32(HEADER_BYTES + (hidden + unit) * 4, weights.output[unit] ?? 0, true);
  }
  bytes.set(new Uint8Array(linear.buffer, linear.byteOffset, linear.length), HEADER_BYTES + hidden * 8);
  bytes.set(
    new Uint8Array(embedding.buffer, embedding.byteOffset, embedding.length),
    HEADER_BYTES + hidden * 8 + linear.length,
  );
  return bytes;
}

/** Throws where the bytes are not weights of this version. */
export function decodeWeights(bytes: Uint8Array): PromptGuardWeights {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (
    bytes.length < HEADER_BYTES ||
    view.getUint32(0, true) !== MAGIC ||
    view.getUint32(4, true) !== VERSION
  ) {
    throw new TypeError('These are no prompt guard weights of version 1.');
  }
  const hidden = view.getUint32(8, true);
  const linearLength = view.getUint32(12, true);
  const embeddingLength = view.getUint32(16, true);
  const start = HEADER_BYTES + hidden * 8;
  if (bytes.length !== start + linearLength + embeddingLength)
    throw new TypeError('The weights are cut short.');
  const floats = (from: number) =>
    Float32Array.from({ length: hidden }, (_, unit) => view.getFloat32(from + unit * 4, true));
  const embedding = new Int8Array(bytes.buffer, bytes.byteOffset + start + linearLength, embeddingLength);
  return {
    linear: new Int8Array(bytes.buffer, bytes.byteOffset + start, linearLength),
    linearScale: view.getFloat32(20, true),
    embedding,
    packed: hidden === PACKED_UNITS ? packRows(embedding) : null,
    embeddingScale: view.getFloat32(24, true),
    hidden,
    hiddenBias: floats(HEADER_BYTES),
    output: floats(HEADER_BYTES + hidden * 4),
    bias: view.getFloat32(28, true),
  };
}
