import { inSlices } from '#app/in-slices.ts';
import type { Embedder } from '#inference/embed/embedder.ts';

/** A millisecond or two of tokenizing. */
const CHARACTERS_A_STEP = 2_048;

/** Tokens of texts of any length; gives others their turn between pieces, which are cut at white space. */
export const countTokensCooperatively = (
  texts: readonly string[],
  embedder: Embedder,
  { tenantId, signal }: Readonly<{ tenantId: string; signal: AbortSignal }>,
): Promise<number> => inSlices(countInSteps(texts, embedder), { tenantId, signal });

function* countInSteps(texts: readonly string[], embedder: Embedder): Generator<void, number> {
  let tokens = 0;
  for (const text of texts) {
    for (let start = 0; start < text.length; ) {
      const end = cutAfter(text, start + CHARACTERS_A_STEP);
      tokens += embedder.countTokens(text.slice(start, end));
      start = end;
      yield;
    }
  }
  return tokens;
}

/** The first white space at or after `place`, where no word is cut; a word without end is cut all the same. */
function cutAfter(text: string, place: number): number {
  if (place >= text.length) return text.length;
  const offset = text.slice(place, place + 256).search(/\s/);
  return offset === -1 ? place : place + offset;
}
