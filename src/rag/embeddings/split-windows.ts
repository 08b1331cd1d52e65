import { inSlices } from '#app/in-slices.ts';
import type { Embedder } from '#inference/embed/embedder.ts';

/** A part of a text that the model reads at once, and its tokens. */
export type Window = Readonly<{ text: string; tokens: number }>;

/** The tokens that the model puts around every text. */
const SPECIAL_TOKENS = 2;
/** A longer text is not tokenized in one piece, which takes some milliseconds for a text of ideographs. */
const MAX_AT_ONCE = 4_096;

/**
 * A text as windows of at most the model's length, cut at white space (no token spans it, so tokens of words add
 * up); a word that is longer than a window is cut by characters, each of which is a token at most.
 */
export const splitWindows = (
  text: string,
  embedder: Embedder,
  { tenantId, signal }: Readonly<{ tenantId: string; signal: AbortSignal }>,
): Promise<Window[]> => inSlices(splitInSteps(text, embedder), { tenantId, signal });

function* splitInSteps(text: string, embedder: Embedder): Generator<void, Window[]> {
  const room = embedder.maxTokens - SPECIAL_TOKENS;
  if (text.length <= MAX_AT_ONCE) {
    const tokens = embedder.countTokens(text);
    if (tokens <= room) return [{ text, tokens }];
  }
  const windows: Window[] = [];
  let start = 0;
  let end = 0;
  let tokens = 0;
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
      yield;
    }
  }
  close();
  return windows;
}

function* piecesOf(word: string, room: number, embedder: Embedder): Generator<string, void> {
  if (word.length <= room || (word.length <= MAX_AT_ONCE && embedder.countTokens(word) <= room)) yield word;
  else for (let at = 0; at < word.length; at += room) yield word.slice(at, at + room);
}
