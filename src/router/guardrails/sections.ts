/** A text is inspected in sections of about so many UTF-16 units. Other requests have their turn between two. */
const SECTION = 32_768;
/** Text of the next section that is looked at as well, so that nothing is cut in two: keys and tokens fit. */
const LOOK_AHEAD = 16_384;
/** How far back a section, and what is looked at past it, may end at a blank. */
const BLANK_WITHIN = 2_048;

/** Two ligatures that NFKC takes apart into 18 and 8 characters; of all others it makes 6 at most. */
const LIGATURES: readonly (readonly [ligature: string, characters: number])[] = [
  ['\ufdfa', 18],
  ['\ufdfb', 8],
];
/** A text that holds them is inspected in smaller sections, so that a section without disguise is not much longer. */
const LIGATURE_SCALE = 8;
/** So much longer a text may become, and one that is short as long as this. */
const MAX_EXPANSION = 4;
const MIN_EXPANDED = 262_144;

const ENCODED = /[A-Za-z0-9+/_-]/;

export type Section = Readonly<{
  /** The section and what is looked at past it. */
  text: string;
  /** Where it begins in the whole text. */
  start: number;
  /** Findings from here on belong to the next section. */
  own: number;
}>;

/**
 * Pieces that together cover the whole text. Nearly every message is one piece. Throws a RangeError for a text that is made to
 * become many times longer when it is read: in no language does one.
 */
export function* sectionsOf(text: string): Generator<Section, void> {
  const expansion = expansionOf(text);
  if (text.length + expansion > Math.max(MIN_EXPANDED, MAX_EXPANSION * text.length))
    throw new RangeError('The text expands to too much text.');
  const scale = expansion === 0 ? 1 : LIGATURE_SCALE;
  const section = SECTION / scale;
  const lookAhead = LOOK_AHEAD / scale;
  let start = 0;
  while (text.length - start > section + lookAhead) {
    let end = blankBefore(text, start + section);
    // A section that begins within encoded text begins where four of its characters give three bytes.
    if (end - start === section && ENCODED.test(text[end] ?? '')) {
      let run = end;
      // A section that begins within the run begins at a whole group of it, so earlier text need not be looked at.
      while (run > start && ENCODED.test(text[run - 1] ?? '')) run--;
      end -= (end - run) % 4;
    }
    yield { text: text.slice(start, blankBefore(text, end + lookAhead)), start, own: end - start };
    start = end;
  }
  yield { text: text.slice(start), start, own: text.length - start };
}

/** How many characters ligatures add to the text. */
function expansionOf(text: string): number {
  let added = 0;
  for (const [ligature, characters] of LIGATURES) {
    for (let at = text.indexOf(ligature); at >= 0; at = text.indexOf(ligature, at + 1))
      added += characters - 1;
  }
  return added;
}

/** The place after the last blank before `latest`: half a word at either end would be a word of its own. */
function blankBefore(text: string, latest: number): number {
  for (let end = latest; end > latest - BLANK_WITHIN; end--) if (/\s/.test(text[end - 1] ?? '')) return end;
  return latest;
}
