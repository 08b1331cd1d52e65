import { turnOfTenant } from '#app/turn-of-tenant.ts';
import type { Embedder } from '#inference/embed/embedder.ts';

/** About 10 ms of tokenizing. */
const CHARACTERS_A_TURN = 16_384;

/** Tokens of texts of any length; gives others their turn between pieces, which are cut at white space. */
export async function countTokensCooperatively(
  texts: readonly string[],
  embedder: Embedder,
  { tenantId, signal }: Readonly<{ tenantId: string; signal: AbortSignal }>,
): Promise<number> {
  let tokens = 0;
  let sinceTurn = 0;
  for (const text of texts) {
    for (let start = 0; start < text.length; ) {
      const end = cutAfter(text, start + CHARACTERS_A_TURN);
      tokens += embedder.countTokens(text.slice(start, end));
      sinceTurn += end - start;
      start = end;
      if (sinceTurn < CHARACTERS_A_TURN) continue;
      sinceTurn = 0;
      await turnOfTenant(tenantId);
      signal.throwIfAborted();
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
