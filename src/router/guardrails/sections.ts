/** A text is inspected in sections of about so many UTF-16 units. Other requests have their turn between two. */
const SECTION = 32_768;
/** Text of the next section that is looked at as well, so that nothing is cut in two: keys and tokens fit. */
const LOOK_AHEAD = 16_384;
/** How far back a section, and what is looked at past it, may end at a blank. */
const BLANK_WITHIN = 2_048;

const ENCODED = /[A-Za-z0-9+/_-]/;

export type Section = Readonly<{
  /** The section and what is looked at past it. */
  text: string;
  /** Where it begins in the whole text. */
  start: number;
  /** Findings from here on belong to the next section. */
  own: number;
}>;

/** Pieces that together cover the whole text. Nearly every message is one piece. */
export function* sectionsOf(text: string): Generator<Section, void> {
  let start = 0;
  while (text.length - start > SECTION + LOOK_AHEAD) {
    let end = blankBefore(text, start + SECTION);
    // A section that begins within encoded text begins where four of its characters give three bytes.
    if (end - start === SECTION && ENCODED.test(text[end] ?? '')) {
      let run = end;
      // A section that begins within the run begins at a whole group of it, so earlier text need not be looked at.
      while (run > start && ENCODED.test(text[run - 1] ?? '')) run--;
      end -= (end - run) % 4;
    }
    yield { text: text.slice(start, blankBefore(text, end + LOOK_AHEAD)), start, own: end - start };
    start = end;
  }
  yield { text: text.slice(start), start, own: text.length - start };
}

/** The place after the last blank before `latest`: half a word at either end would be a word of its own. */
function blankBefore(text: string, latest: number): number {
  for (let end = latest; end > latest - BLANK_WITHIN; end--) if (/\s/.test(text[end - 1] ?? '')) return end;
  return latest;
}
