/** How large chunks may be. Tokens are the embedding model's; characters are UTF-16 units. */
export type ChunkLimits = Readonly<{
  /** Smaller chunks are merged with a neighbour where one has room. */
  minTokens: number;
  /** What a run of paragraphs is cut into. */
  targetTokens: number;
  /** No chunk has more, whatever it holds. Must not exceed the embedding model's window. */
  maxTokens: number;
  /**
   * No chunk is longer. Tokenizers count a word of a megabyte as one unknown token, and white space as none; a
   * prompt pays for both.
   */
  maxCharacters: number;
}>;

export const DEFAULT_CHUNK_LIMITS: ChunkLimits = {
  minTokens: 200,
  targetTokens: 300,
  maxTokens: 400,
  maxCharacters: 4_000,
};
