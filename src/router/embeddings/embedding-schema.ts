import { z } from 'zod';
import { MAX_TEXTS } from '#router/embeddings/read-embedding-input.ts';

/** The four forms are read by `readEmbeddingInput`, which names the item at fault; a union would name none. */
const inputSchema = z.unknown().meta({
  description:
    'A text, texts, or token ids of cl100k_base, as LangChain sends them. A text may have 8,192 tokens; a longer one ' +
    'than the model reads at once is embedded in windows, whose vectors are averaged.',
  anyOf: [
    { type: 'string', minLength: 1 },
    { type: 'array', items: { type: 'string', minLength: 1 }, minItems: 1, maxItems: MAX_TEXTS },
    { type: 'array', items: { type: 'integer', minimum: 0 }, minItems: 1 },
    {
      type: 'array',
      items: { type: 'array', items: { type: 'integer', minimum: 0 }, minItems: 1 },
      minItems: 1,
      maxItems: MAX_TEXTS,
    },
  ],
});

/** `POST /v1/embeddings`. What is not named here is ignored. */
export const embeddingRequestSchema = z.looseObject({
  model: z.string().min(1).max(200).describe('`bulkhead-embed`.'),
  input: inputSchema,
  encoding_format: z
    .enum(['float', 'base64'])
    .nullish()
    .describe('Numbers, or base64 of little-endian float32.'),
  dimensions: z.int().positive().nullish().describe('Refused unless the model has as many.'),
});

/** The answer: vectors of length one, in the order of the input. */
export const embeddingListSchema = z.object({
  object: z.literal('list'),
  data: z.array(
    z.object({
      object: z.literal('embedding'),
      index: z.int().nonnegative(),
      /** Numbers; or base64 of little-endian float32, where `encoding_format` is `base64`. */
      embedding: z.union([z.array(z.number()), z.string()]),
    }),
  ),
  model: z.string(),
  usage: z.object({ prompt_tokens: z.int().nonnegative(), total_tokens: z.int().nonnegative() }),
});
