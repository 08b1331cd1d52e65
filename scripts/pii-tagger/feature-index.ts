/** Numbers for features, in the order in which they are first met. */
export type FeatureIndex = Readonly<{
  /** The feature's number, or -1 where it has none. */
  find: (feature: number) => number;
  keys: Uint32Array;
}>;

/** Features met less often have no number. */
export type FeatureCounts = Readonly<{ add: (feature: number) => void; of: (feature: number) => number }>;

const COUNT_BITS = 26;

/** Counts to 255, and features that share all of their upper bits as one: to leave out rare ones, no more is needed. */
export function featureCounts(): FeatureCounts {
  const counts = new Uint8Array(2 ** COUNT_BITS);
  return {
    add: (feature) => {
      const at = feature >>> (32 - COUNT_BITS);
      const count = counts[at] ?? 0;
      if (count < 255) counts[at] = count + 1;
    },
    of: (feature) => counts[feature >>> (32 - COUNT_BITS)] ?? 0,
  };
}

/** An open-addressing table of these features. */
export function featureIndex(keys: Uint32Array): FeatureIndex {
  const size = 2 ** Math.ceil(Math.log2(keys.length * 2 + 2));
  const slots = new Uint32Array(size * 2);
  for (const [number, key] of keys.entries()) {
    let slot = key & (size - 1);
    while (slots[slot * 2 + 1] !== 0) slot = (slot + 1) & (size - 1);
    slots[slot * 2] = key;
    slots[slot * 2 + 1] = number + 1;
  }
  const find = (feature: number): number => {
    let slot = feature & (size - 1);
    let number = slots[slot * 2 + 1] ?? 0;
    while (number !== 0 && slots[slot * 2] !== feature) {
      slot = (slot + 1) & (size - 1);
      number = slots[slot * 2 + 1] ?? 0;
    }
    return number - 1;
  };
  return { find, keys };
}
