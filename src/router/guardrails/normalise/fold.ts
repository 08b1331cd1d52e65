import { atOnce } from '#app/in-slices.ts';
import { LATIN_FOR } from '#router/guardrails/normalise/confusables.ts';
import { type MappedText, MappedTextBuilder } from '#router/guardrails/normalise/text-view.ts';

const BEYOND_ASCII = /\P{ASCII}/u;
/** ASCII up to the next word that is not, or one word with its marks, symbols that stand for letters included. */
const PIECE = /\p{ASCII}+(?!\P{ASCII})|[\p{L}\p{M}\p{N}\p{Regional_Indicator}\u{1f150}-\u{1f189}]+|./gsu;
const LATIN_LETTER = /\p{Script=Latin}/u;
const MARKS = /\p{M}+/gu;
/** Scripts whose marks are accents, not vowels. */
const TAKES_ACCENTS = /[\p{Script=Latin}\p{Script=Greek}\p{Script=Cyrillic}]/u;

/**
 * Lower case, without accents, and with lookalike letters turned Latin where they disguise a Latin word: the word
 * mixes them with Latin letters, or consists of lookalikes alone in a text that is mostly Latin. A Russian or Greek
 * text stays what it is.
 */
export const fold = (text: string): MappedText => atOnce(foldInSteps(text));

/** Letters of a step: a millisecond or two. */
const LETTERS_A_STEP = 4_096;

/** As {@link fold}, with breaks in a long text. */
export function* foldInSteps(text: string): Generator<void, MappedText> {
  if (!BEYOND_ASCII.test(text)) return { text: text.toLowerCase(), map: null };
  const mostlyLatin = isMostlyLatin(text);
  const builder = new MappedTextBuilder(text.length);
  let sinceBreak = 0;
  for (const match of text.matchAll(PIECE)) {
    const [piece] = match;
    sinceBreak += piece.length;
    if (sinceBreak > LETTERS_A_STEP) {
      sinceBreak = 0;
      yield;
    }
    if (BEYOND_ASCII.test(piece)) yield* foldWord(piece, match.index, mostlyLatin, builder);
    else builder.copy(piece.toLowerCase(), match.index);
  }
  return builder.build();
}

function* foldWord(
  word: string,
  offset: number,
  mostlyLatin: boolean,
  builder: MappedTextBuilder,
): Generator<void, void> {
  const letters: { folded: string; start: number; end: number }[] = [];
  let latin = false;
  let foreign = false;
  let at = offset;
  for (const letter of word) {
    const folded = withoutAccents(letter.toLowerCase());
    if (LATIN_LETTER.test(folded)) latin = true;
    else if (/\p{L}/u.test(folded) && !LATIN_FOR.has(folded)) foreign = true;
    letters.push({ folded, start: at, end: at + letter.length });
    at += letter.length;
    if (letters.length % LETTERS_A_STEP === 0) yield;
  }
  const disguised = latin || (mostlyLatin && !foreign);
  let written = 0;
  for (const { folded, start, end } of letters) {
    written += 1;
    if (written % LETTERS_A_STEP === 0) yield;
    builder.replace(disguised ? (LATIN_FOR.get(folded) ?? folded) : folded, start, end);
  }
}

function withoutAccents(letter: string): string {
  if (!TAKES_ACCENTS.test(letter)) {
    // A mark on its own follows a letter that kept it apart: an accent of any script that takes them.
    return /^[\u0300-\u036f]+$/.test(letter) ? '' : letter;
  }
  return letter.normalize('NFD').replace(MARKS, '');
}

function isMostlyLatin(text: string): boolean {
  let latin = 0;
  let other = 0;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index) | 0x20;
    if (code >= 0x61 && code <= 0x7a) latin++;
    else if (code >= 0x370) other++;
  }
  return latin >= other;
}
