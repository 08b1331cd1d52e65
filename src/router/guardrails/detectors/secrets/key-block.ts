/** The line that begins a private key in PEM or OpenPGP armour. */
export const KEY_BLOCK_START = /-----BEGIN (?:[A-Z0-9]{1,16} ){0,4}PRIVATE KEY(?: BLOCK)?-----/g;

/** The longest header, and the longest last line. */
export const MAX_KEY_LINE = 120;

const LAST_LINE = /-----END[A-Z0-9 ]{0,80}-----/g;
/** Base64, the names and values of headers, line ends, and those as JSON escapes them. */
const BODY = /[A-Za-z0-9+/=\s\\:,-]*/y;

/** Where the key whose first line ends at `from` ends: after its last line, or with the last character that a key may hold. */
export const keyBlockEnd = (text: string, from: number): number => new KeyBody(text, from).endOfKey(from);

/**
 * The private keys of a text. Of first lines one after the other each begins a key, and all of them share one body, which is
 * read once: reading it for each of them would take time with the square of their number.
 */
export function keyBlocksOf(text: string): { start: number; end: number }[] {
  const blocks: { start: number; end: number }[] = [];
  let body: KeyBody | null = null;
  for (const match of text.matchAll(KEY_BLOCK_START)) {
    const from = match.index + match[0].length;
    if (body === null || from > body.end) body = new KeyBody(text, from);
    blocks.push({ start: match.index, end: body.endOfKey(from) });
  }
  return blocks;
}

/** A run of characters that a key may hold, from `from` on. */
class KeyBody {
  readonly end: number;
  readonly #text: string;
  /** The last line that was found: the first one after any place before it, back to where it was looked for. */
  #last: { start: number; end: number } | null | undefined;

  constructor(text: string, from: number) {
    BODY.lastIndex = from;
    this.end = from + (BODY.exec(text)?.[0].length ?? 0);
    // All of a last line may stand in a body, so none that ends one is further on.
    this.#text = text.slice(0, this.end);
  }

  /** Places must be asked for in their order. */
  endOfKey(from: number): number {
    if (this.#last === undefined || (this.#last !== null && this.#last.start < from)) {
      LAST_LINE.lastIndex = from;
      const match = LAST_LINE.exec(this.#text);
      this.#last = match === null ? null : { start: match.index, end: match.index + match[0].length };
    }
    return this.#last?.end ?? this.end;
  }
}
