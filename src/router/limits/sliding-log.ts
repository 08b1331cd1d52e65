const SMALLEST_CAPACITY = 16;

/**
 * When admitted requests happened, oldest first, in a ring that grows as it fills. Requests of the same
 * millisecond share an entry, so an hour can never hold more than 3.6 million of them. Counting and finding
 * the n-th request are binary searches over running totals.
 */
export class SlidingLog {
  #times = new Float64Array(SMALLEST_CAPACITY);
  /** Requests up to and with each entry, counted since the log was made. */
  #totals = new Float64Array(SMALLEST_CAPACITY);
  #head = 0;
  #size = 0;
  /** Requests in entries that were dropped. */
  #dropped = 0;

  get isEmpty(): boolean {
    return this.#size === 0;
  }

  /** The time of the newest request, or -Infinity. */
  get newest(): number {
    return this.#size === 0 ? Number.NEGATIVE_INFINITY : this.#timeAt(this.#size - 1);
  }

  /** Adds one request. Times that run backwards count as the newest so far. */
  add(time: number): void {
    const total = this.#total() + 1;
    if (this.#size > 0 && time <= this.newest) {
      this.#totals[this.#index(this.#size - 1)] = total;
      return;
    }
    if (this.#size === this.#times.length) this.#resize(this.#times.length * 2);
    const at = this.#index(this.#size);
    this.#times[at] = time;
    this.#totals[at] = total;
    this.#size += 1;
  }

  /** Requests later than `time`. */
  countAfter(time: number): number {
    return this.#total() - this.#totalBefore(this.#firstAfter(time));
  }

  /** The time of the oldest request later than `time`; null: there is none. */
  oldestAfter(time: number): number | null {
    const first = this.#firstAfter(time);
    return first === this.#size ? null : this.#timeAt(first);
  }

  /** The time of the n-th oldest (from 1) of the requests later than `time`. */
  timeOfNthAfter(time: number, n: number): number {
    const first = this.#firstAfter(time);
    const wanted = this.#totalBefore(first) + n;
    let low = first;
    let high = this.#size - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#totalAt(middle) < wanted) low = middle + 1;
      else high = middle;
    }
    return this.#timeAt(low);
  }

  /** Forgets requests that are not later than `time`. */
  dropUntil(time: number): void {
    const gone = this.#firstAfter(time);
    if (gone === 0) return;
    this.#dropped = this.#totalAt(gone - 1);
    this.#head = this.#index(gone);
    this.#size -= gone;
    const capacity = this.#times.length;
    if (capacity > 1_024 && this.#size * 8 < capacity) this.#resize(capacity / 4);
  }

  #firstAfter(time: number): number {
    let low = 0;
    let high = this.#size;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#timeAt(middle) <= time) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #total(): number {
    return this.#totalBefore(this.#size);
  }

  #totalBefore(position: number): number {
    return position === 0 ? this.#dropped : this.#totalAt(position - 1);
  }

  #timeAt(position: number): number {
    return this.#times[this.#index(position)] ?? 0;
  }

  #totalAt(position: number): number {
    return this.#totals[this.#index(position)] ?? 0;
  }

  /** The capacity is a power of two. */
  #index(position: number): number {
    return (this.#head + position) & (this.#times.length - 1);
  }

  #resize(capacity: number): void {
    const times = new Float64Array(capacity);
    const totals = new Float64Array(capacity);
    for (let i = 0; i < this.#size; i++) {
      times[i] = this.#timeAt(i);
      totals[i] = this.#totalAt(i);
    }
    this.#times = times;
    this.#totals = totals;
    this.#head = 0;
  }
}
