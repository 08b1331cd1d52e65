import { LABEL_COUNT } from '#router/guardrails/detectors/pii/tagger/labels.ts';
import type { TaggerWeights } from '#router/guardrails/detectors/pii/tagger/pii-tagger.ts';

/** `BHPT`, then the format’s version. */
const MAGIC = 0x54504842;
const VERSION = 2;
const HEADER_BYTES = 20;

/** Little-endian: magic, version, labels, rows, scale; transitions as float32; then the int8 weights. */
export function encodeTagger({ weights, scale, transitions }: TaggerWeights): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + transitions.length * 4 + weights.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, VERSION, true);
  view.setUint32(8, LABEL_COUNT, true);
  view.setUint32(12, weights.length / LABEL_COUNT, true);
  view.setFloat32(16, scale, true);
  for (const [index, value] of transitions.entries()) view.setFloat32(HEADER_BYTES + index * 4, value, true);
  bytes.set(
    new Uint8Array(weights.buffer, weights.byteOffset, weights.length),
    HEADER_BYTES + transitions.length * 4,
  );
  return bytes;
}

/** Throws where the bytes are no tagger of this version and these labels. */
export function decodeTagger(bytes: Uint8Array): TaggerWeights {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const known =
    bytes.length >= HEADER_BYTES &&
    view.getUint32(0, true) === MAGIC &&
    view.getUint32(4, true) === VERSION &&
    view.getUint32(8, true) === LABEL_COUNT;
  if (!known) throw new TypeError('This is no PII tagger of version 2.');
  const start = HEADER_BYTES + LABEL_COUNT * LABEL_COUNT * 4;
  if (bytes.length !== start + view.getUint32(12, true) * LABEL_COUNT)
    throw new TypeError('The tagger is cut short.');
  return {
    weights: new Int8Array(bytes.buffer, bytes.byteOffset + start, bytes.length - start),
    scale: view.getFloat32(16, true),
    transitions: Float32Array.from({ length: LABEL_COUNT * LABEL_COUNT }, (_, index) =>
      view.getFloat32(HEADER_BYTES + index * 4, true),
    ),
  };
}
