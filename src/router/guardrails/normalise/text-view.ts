/** A half-open range of UTF-16 units. */
export type Span = Readonly<{ start: number; end: number }>;

/** What was done to a text to get a view of it. `plain` and `folded` are always there, the others where they apply. */
export type ViewKind =
  | 'plain'
  | 'folded'
  | 'leetspeak'
  | 'spaced'
  | 'reversed'
  | 'rot13'
  | 'base64'
  | 'hex'
  | 'url'
  | 'escapes'
  | 'hidden';

/** One reading of a text, and the way back: which range of the original a range of the reading came from. */
export type TextView = Readonly<{
  kind: ViewKind;
  text: string;
  origin: (start: number, end: number) => Span;
}>;

/** Where each UTF-16 unit of a derived text begins and ends in its source. null: the two are unit for unit the same. */
export type OffsetMap = Readonly<{ starts: Uint32Array; ends: Uint32Array }> | null;

/** A text and where its units came from. */
export type MappedText = Readonly<{ text: string; map: OffsetMap }>;

/** The source range of `[start, end)`; an empty range is empty in the source too. */
export function originOf(map: OffsetMap, start: number, end: number): Span {
  if (map === null) return { start, end };
  const from = map.starts[start] ?? map.ends[map.ends.length - 1] ?? 0;
  return { start: from, end: end <= start ? from : (map.ends[end - 1] ?? from) };
}

/** The map of a text derived from a derived text. */
export function composeMaps(outer: OffsetMap, inner: OffsetMap): OffsetMap {
  if (outer === null) return inner;
  if (inner === null) return outer;
  const { length } = inner.starts;
  const starts = new Uint32Array(length);
  const ends = new Uint32Array(length);
  for (let index = 0; index < length; index++) {
    starts[index] = outer.starts[inner.starts[index] ?? 0] ?? 0;
    ends[index] = outer.ends[(inner.ends[index] ?? 1) - 1] ?? 0;
  }
  return { starts, ends };
}

/** Builds a derived text piece by piece and remembers where each unit came from. */
export class MappedTextBuilder {
  readonly #pieces: string[] = [];
  #starts: Uint32Array;
  #ends: Uint32Array;
  #length = 0;

  constructor(expectedLength: number) {
    this.#starts = new Uint32Array(Math.max(16, expectedLength));
    this.#ends = new Uint32Array(Math.max(16, expectedLength));
  }

  /** `piece` replaces the source range: each of its units stands for the whole range. */
  replace(piece: string, start: number, end: number): void {
    this.#reserve(piece.length);
    this.#pieces.push(piece);
    this.#starts.fill(start, this.#length, this.#length + piece.length);
    this.#ends.fill(end, this.#length, this.#length + piece.length);
    this.#length += piece.length;
  }

  /** `piece` is as long as the source range that begins at `start`, and stands for it unit for unit. */
  copy(piece: string, start: number): void {
    this.#reserve(piece.length);
    this.#pieces.push(piece);
    for (let index = 0; index < piece.length; index++) {
      this.#starts[this.#length + index] = start + index;
      this.#ends[this.#length + index] = start + index + 1;
    }
    this.#length += piece.length;
  }

  build(): MappedText {
    return {
      text: this.#pieces.join(''),
      map: { starts: this.#starts.slice(0, this.#length), ends: this.#ends.slice(0, this.#length) },
    };
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#starts.length) return;
    const grown = Math.max(needed, this.#starts.length * 2);
    const starts = new Uint32Array(grown);
    const ends = new Uint32Array(grown);
    starts.set(this.#starts);
    ends.set(this.#ends);
    this.#starts = starts;
    this.#ends = ends;
  }
}
