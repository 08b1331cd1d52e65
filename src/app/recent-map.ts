/**
 * A cache of at least the `size` most recently used entries, and at most twice as many. Entries age in two generations: when
 * the young one is full it becomes the old one, and what was in the old one is let go. Letting the oldest key of a Map go one
 * by one costs far more: a Map leaves holes in its order, and whoever asks for its first key walks over them.
 */
export class RecentMap<Key, Value> {
  readonly #size: number;
  #young = new Map<Key, Value>();
  #old = new Map<Key, Value>();

  constructor(size: number) {
    if (!Number.isInteger(size) || size < 1)
      throw new RangeError('A cache needs room for one entry at least.');
    this.#size = size;
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /** The entry counts as used. */
  get(key: Key): Value | undefined {
    const value = this.#young.get(key);
    if (value !== undefined || this.#young.has(key)) return value;
    const aged = this.#old.get(key);
    if (aged === undefined && !this.#old.has(key)) return undefined;
    this.#old.delete(key);
    this.#add(key, aged as Value);
    return aged;
  }

  set(key: Key, value: Value): void {
    this.#old.delete(key);
    this.#add(key, value);
  }

  delete(key: Key): boolean {
    // An entry is in one of them.
    return this.#young.delete(key) || this.#old.delete(key);
  }

  *entries(): Generator<[Key, Value], void> {
    yield* this.#old;
    yield* this.#young;
  }

  #add(key: Key, value: Value): void {
    this.#young.set(key, value);
    if (this.#young.size < this.#size) return;
    this.#old = this.#young;
    this.#young = new Map();
  }
}
