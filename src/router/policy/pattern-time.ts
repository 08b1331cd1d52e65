/**
 * What a tenant’s patterns may take of this process on one text. A search takes time in proportion to the text, but finding
 * all matches of a pattern such as `a[^z]*z|a` searches the rest of the text for each: the square of its length.
 */
export class PatternTime {
  #leftMs: number;
  readonly #perCharacterMs: number;

  /** Milliseconds, for all patterns together; some hundred usual ones take a few microseconds a character. */
  constructor({ baseMs, perCharacterMs }: { baseMs: number; perCharacterMs: number }) {
    this.#leftMs = baseMs;
    this.#perCharacterMs = perCharacterMs;
  }

  /** There is more text. */
  extend(characters: number): this {
    this.#leftMs += characters * this.#perCharacterMs;
    return this;
  }

  /** Throws a RangeError when the time is over: a guardrail that fails denies. */
  spend<Result>(work: () => Result): Result {
    if (this.#leftMs < 0) throw tooLong();
    const began = performance.now();
    const result = work();
    this.#leftMs -= performance.now() - began;
    if (this.#leftMs < 0) throw tooLong();
    return result;
  }
}

const tooLong = () => new RangeError('The tenant’s patterns take too long on a text.');
