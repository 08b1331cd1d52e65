/** Tokens reserved at one moment; settling sets them to what was really used. */
export type TokenEntry = { readonly time: number; tokens: number; counted: boolean };

/** Tokens by the time of their reservation, oldest first, with a running sum of those still held. */
export class TokenLog {
  #entries: TokenEntry[] = [];
  #head = 0;
  #sum = 0;

  get isEmpty(): boolean {
    return this.#head === this.#entries.length;
  }

  /** Tokens held, once {@link dropUntil} has forgotten what left the window. */
  get sum(): number {
    return this.#sum;
  }

  /** The time of the newest entry, or -Infinity. */
  get newest(): number {
    return this.isEmpty ? Number.NEGATIVE_INFINITY : (this.#entries.at(-1)?.time ?? Number.NEGATIVE_INFINITY);
  }

  /** The time of the oldest entry that holds tokens, of so many at the old end; null: there is none among them. */
  oldestOf(entries: number): number | null {
    const end = Math.min(this.#entries.length, this.#head + entries);
    for (let i = this.#head; i < end; i++) {
      const entry = this.#entries[i];
      if (entry !== undefined && entry.tokens > 0) return entry.time;
    }
    return null;
  }

  reserve(time: number, tokens: number): TokenEntry {
    const entry = { time: Math.max(time, this.newest), tokens, counted: true };
    this.#entries.push(entry);
    this.#sum += tokens;
    return entry;
  }

  /** Changes nothing once the entry has left the window. */
  settle(entry: TokenEntry, tokens: number): void {
    if (!entry.counted) return;
    this.#sum += tokens - entry.tokens;
    entry.tokens = tokens;
  }

  /** Forgets entries that are not later than `time`. */
  dropUntil(time: number): void {
    for (let entry = this.#entries[this.#head]; entry !== undefined && entry.time <= time; ) {
      entry.counted = false;
      this.#sum -= entry.tokens;
      this.#head += 1;
      entry = this.#entries[this.#head];
    }
    // Shifting one by one would be quadratic.
    if (this.#head > 64 && this.#head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
  }

  /** The time of the entry with which, oldest first, at least so many tokens have gone; null: there are not so many. */
  timeWhenFreed(tokens: number): number | null {
    let missing = tokens;
    for (let i = this.#head; i < this.#entries.length; i++) {
      const entry = this.#entries[i];
      missing -= entry?.tokens ?? 0;
      if (entry !== undefined && missing <= 0) return entry.time;
    }
    return null;
  }
}
