import { turnOfTenant } from '#app/turn-of-tenant.ts';
import type { Embedder } from '#inference/embed/embedder.ts';

/** A part of a text that the model reads at once, and its tokens. */
export type Window = Readonly<{ text: string; tokens: number }>;

/** The tokens that the model puts around every text. */
const SPECIAL_TOKENS = 2;
/** About 10 ms of tokenizing; then the event loop has its turn. */
const CHARACTERS_A_TURN = 16_384;

/**
 * A text as windows of at most the model's length, cut at white space (no token spans it, so tokens of words add
 * up); a word that is longer than a window is cut by characters, each of which is a token at most.
 */
export async function splitWindows(
  text: string,
  embedder: Embedder,
  { tenantId, signal }: Readonly<{ tenantId: string; signal: AbortSignal }>,
): Promise<Window[]> {
  const room = embedder.maxTokens - SPECIAL_TOKENS;
  if (text.length <= CHARACTERS_A_TURN) {
    const tokens = embedder.countTokens(text);
    if (tokens <= room) return [{ text, tokens }];
  }
  const windows: Window[] = [];
  let start = 0;
  let end = 0;
  let tokens = 0;
  let sinceTurn = 0;
  const close = () => {
    if (end > start) windows.push({ text: text.slice(start, end), tokens });
    start = end;
    tokens = 0;
  };
  for (const [word] of text.matchAll(/\s*\S+\s*$|\s*\S+/g)) {
    for (const piece of piecesOf(word, room, embedder)) {
      const more = embedder.countTokens(piece);
      if (tokens + more > room) close();
      tokens += more;
      end += piece.length;
      sinceTurn += piece.length;
    }
    if (sinceTurn < CHARACTERS_A_TURN) continue;
    sinceTurn = 0;
    await turnOfTenant(tenantId);
    signal.throwIfAborted();
  }
  close();
  return windows;
}

function piecesOf(word: string, room: number, embedder: Embedder): string[] {
  if (word.length <= room || embedder.countTokens(word) <= room) return [word];
  const pieces: string[] = [];
  for (let at = 0; at < word.length; at += room) pieces.push(word.slice(at, at + room));
  return pieces;
}
