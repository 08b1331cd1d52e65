/** `[1]`, `[1, 3]`, `[1][2]`, `[2-4]`, and the brackets that some models prefer: `【1】`. No blank after the bracket. */
const MARKER = /[[【](\d{1,3}(?:\s?[,;–-]\s?\d{1,3})*)[\]】]/g;

/** Code is left out: `args[0]` cites nothing. An unclosed fence reaches to the end. */
const CODE = /```[\s\S]*?(?:```|$)|`[^`\n]*`/g;

/** The numbers that a text cites, each once, in order of first use; only those from 1 to `count`. */
export function citedNumbers(text: string, count: number): number[] {
  const numbers = new Set<number>();
  for (const [, inside] of text.replace(CODE, '').matchAll(MARKER)) {
    for (const part of (inside ?? '').split(/\s?[,;]\s?/)) {
      const [from = 0, to = from] = part.split(/\s?[–-]\s?/).map(Number);
      for (let number = from; number <= to && number <= count; number++) {
        if (number >= 1) numbers.add(number);
      }
    }
  }
  return [...numbers];
}

/** The text without its markers: in a later turn their numbers would mean other sources. */
export const withoutMarkers = (text: string): string =>
  text.replace(/\s?[[【]\d{1,3}(?:\s?[,;–-]\s?\d{1,3})*[\]】]/g, '');
