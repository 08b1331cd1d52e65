import { streamSafe } from '#app/stream-safe.ts';

/** Characters that show nothing and split words: joiners, zero-width spaces, bidi controls, selectors, tags. */
const INVISIBLE = /\p{Default_Ignorable_Code_Point}/gu;

const BEYOND_ASCII = /[\u0080-\uffff]/;

/** A text in the forms that patterns are tried on. */
export type NormalisedText = Readonly<{
  /** As it came, and without disguise: NFKC, nothing invisible. One entry where the two are equal. */
  plain: readonly string[];
  /** The undisguised text with letter case folded fully (ß is ss). */
  folded: string;
  isAscii: boolean;
}>;

/** Takes the disguises off a text that a reader, or a model, would see through. */
export function normaliseText(text: string): NormalisedText {
  if (!BEYOND_ASCII.test(text)) return { plain: [text], folded: text.toLowerCase(), isAscii: true };
  const undisguised = undisguise(text);
  return {
    plain: undisguised === text ? [text] : [undisguised, text],
    folded: foldCase(undisguised),
    isAscii: false,
  };
}

/**
 * NFKC without invisible characters, and without more marks on a letter than any language writes. Invisible ones go first
 * too: they keep NFKC from composing.
 */
export function undisguise(text: string): string {
  return streamSafe(text.replace(INVISIBLE, '')).normalize('NFKC').replace(INVISIBLE, '');
}

/** Full case folding, near enough: upper case expands (ß → SS), lower case unifies (Σ and ς end up as σ). */
export function foldCase(text: string): string {
  return text.toUpperCase().toLowerCase().replaceAll('ς', 'σ');
}
