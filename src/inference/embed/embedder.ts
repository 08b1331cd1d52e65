/** How a call to an {@link Embedder} is ranked against others that wait. */
export type EmbedOptions = Readonly<{
  /** Somebody waits for the answer: goes ahead of passages that are being indexed, as queries do. */
  urgent?: boolean;
  /** For whom: tenants take turns. Absent: for nobody in particular, who has a turn like a tenant. */
  tenantId?: string;
}>;

/** Turns text into unit vectors of `dimensions` float32 numbers, so that their dot product is the cosine. */
export interface Embedder {
  /** The model and its version: an index made by another id must be rebuilt. */
  readonly id: string;
  readonly dimensions: number;
  /** Texts longer than `maxTokens` are cut. One vector a text, in order. */
  readonly maxTokens: number;
  embedQuery(
    text: string,
    signal?: AbortSignal,
    options?: Pick<EmbedOptions, 'tenantId'>,
  ): Promise<Float32Array>;
  embedPassages(
    texts: readonly string[],
    signal?: AbortSignal,
    options?: EmbedOptions,
  ): Promise<Float32Array[]>;
  /** Tokens of the text by this model's tokenizer, special tokens left out. */
  countTokens(text: string): number;
  close(): Promise<void>;
}
