import { LABEL_COUNT } from '#router/guardrails/detectors/pii/tagger/labels.ts';
import type { TaggerWeights } from '#router/guardrails/detectors/pii/tagger/pii-tagger.ts';

/** `BHPT`, then the format’s version. */
const MAGIC = 0x54504842;
const VERSION = 3;
const HEADER_BYTES = 24;

/** Little-endian: magic, version, labels, rows, scale, certainty; transitions as float32; keys as uint32; then the int8 weights. */
export function encodeTagger({ keys, weights, scale, transitions, certain }: TaggerWeights): Uint8Array {
  const keysAt = HEADER_BYTES + transitions.length * 4;
  const weightsAt = keysAt + keys.length * 4;
  const bytes = new Uint8Array(weightsAt + weights.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, VERSION, true);
  view.setUint32(8, LABEL_COUNT, true);
  view.setUint32(12, keys.length, true);
  view.setFloat32(16, scale, true);
  view.setFloat32(20, certain, true);
  for (const [index, value] of transitions.entries()) view.setFloat32(HEADER_BYTES + index * 4, value, true);
  for (const [index, key] of keys.entries()) view.setUint32(keysAt + index * 4, key, true);
  bytes.set(new Uint8Array(weights.buffer, weights.byteOffset, weights.length), weightsAt);
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
  if (!known) throw new TypeError(`This is no PII tagger of version ${VERSION}.`);
  const rows = view.getUint32(12, true);
  const keysAt = HEADER_BYTES + LABEL_COUNT * LABEL_COUNT * 4;
  const weightsAt = keysAt + rows * 4;
  if (bytes.length !== weightsAt + rows * LABEL_COUNT) throw new TypeError('The tagger is cut short.');
  return {
    keys: Uint32Array.from({ length: rows }, (_, index) => view.getUint32(keysAt + index * 4, true)),
    weights: new Int8Array(bytes.buffer, bytes.byteOffset + weightsAt, rows * LABEL_COUNT),
    scale: view.getFloat32(16, true),
    transitions: Float32Array.from({ length: LABEL_COUNT * LABEL_COUNT }, (_, index) =>
      view.getFloat32(HEADER_BYTES + index * 4, true),
    ),
    certain: view.getFloat32(20, true),
  };
}
