/**
 * Lets so many in at once, in the order in which they came. A burst that is sent to Redis whole is answered whole, at
 * its end: that looks like an outage, and asks a question a thousand times whose answer is known after the first.
 */
export class WaitingLine {
  readonly #places: number;
  readonly #waiting: (() => void)[] = [];
  #inside = 0;
  #next = 0;

  constructor(places: number) {
    this.#places = places;
  }

  /** Whoever was let in must leave. null: let in at once, without a turn of the event loop. */
  enter(): Promise<void> | null {
    if (this.#inside < this.#places) {
      this.#inside += 1;
      return null;
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** The place goes to whoever has waited longest. */
  leave(): void {
    const first = this.#waiting[this.#next];
    if (first === undefined) {
      this.#inside -= 1;
      return;
    }
    this.#next += 1;
    // The front is cut off now and then: shifting a long line each time would cost its length.
    if (this.#next === this.#waiting.length || this.#next >= 1_024) {
      this.#waiting.splice(0, this.#next);
      this.#next = 0;
    }
    first();
  }
}
