/**
 * A set that is also a queue: `shift` takes the oldest value, `delete` any value, both in constant time. A `Set` alone is
 * not enough: it keeps holes where values were deleted, and a new iterator walks over all of them to the first value.
 */
export class FifoSet<Value> {
  readonly #values = new Set<Value>();
  /** Stays between calls: it has passed the holes already, and sees values that are added behind it. */
  #cursor = this.#values.values();

  get size(): number {
    return this.#values.size;
  }

  /** A value that is in the set already keeps its place. */
  add(value: Value): void {
    this.#values.add(value);
  }

  delete(value: Value): boolean {
    return this.#values.delete(value);
  }

  /** undefined when the set is empty. */
  shift(): Value | undefined {
    if (this.#values.size === 0) return undefined;
    let next = this.#cursor.next();
    if (next.done === true) {
      // An iterator that has reached the end once stays there.
      this.#cursor = this.#values.values();
      next = this.#cursor.next();
    }
    if (next.done === true) return undefined;
    this.#values.delete(next.value);
    return next.value;
  }
}
