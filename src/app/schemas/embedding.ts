import { z } from 'zod';

/** The name under which every deployment serves its own embedding model. */
export const EMBEDDING_MODEL = 'bulkhead-embed';

/** The most texts in one call between services; a client's longer list is sent in several. */
export const MAX_TEXTS_PER_CALL = 64;
/** The longest text by the model's own tokenizer, as at OpenAI. */
export const MAX_TEXT_TOKENS = 8_192;
/** Longer than any text of {@link MAX_TEXT_TOKENS} is as a rule: refused before it is tokenized. */
export const MAX_TEXT_CHARACTERS = 100_000;

/** Router → RAG service: embed these texts, for this caller. */
export const embedRequestSchema = z.strictObject({
  /** {@link EMBEDDING_MODEL}, or the model's own id. */
  model: z.string().min(1).max(200),
  texts: z.array(z.string().min(1).max(MAX_TEXT_CHARACTERS)).min(1).max(MAX_TEXTS_PER_CALL),
  /** Refused unless the model has as many; absent: not asked for. */
  dimensions: z.int().positive().optional(),
});
export type EmbedRequest = z.infer<typeof embedRequestSchema>;

/** Unit vectors, one a text in order, and what they cost. */
export type EmbedResult = {
  vectors: Float32Array[];
  /** By the model's tokenizer, all texts together. */
  tokens: number;
};
