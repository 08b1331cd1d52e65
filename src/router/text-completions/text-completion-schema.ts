import { z } from 'zod';
import { citationSchema } from '#app/schemas/multi-tenant-vault-chunk.ts';
import { tokenUsageSchema } from '#app/schemas/token-usage.ts';

/** What the older API has and a chat turn has not: refused, because an answer without it would be another answer. */
const refused = (why: string) => z.null(why).optional();

/** `POST /v1/completions`, the API before chat. What is not named here is ignored. */
export const textCompletionRequestSchema = z.looseObject({
  model: z.string().min(1).max(200),
  prompt: z.union([z.string().min(1), z.array(z.string().min(1)).length(1)], {
    error: 'must be one text, alone or in a list; lists of tokens are not taken',
  }),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  max_tokens: z.int().positive().max(10_000_000).nullish(),
  stop: z.union([z.string(), z.array(z.string()).max(16)]).nullish(),
  seed: z.int().nullish(),
  n: z.int().min(1).max(8).nullish(),
  echo: z.literal(false, 'the prompt is not given back').nullish(),
  best_of: z.literal(1, 'answers are not chosen among').nullish(),
  logprobs: refused('log probabilities are on /v1/chat/completions alone'),
  suffix: refused('text is not filled in before a suffix'),
});
export type TextCompletionRequest = z.infer<typeof textCompletionRequestSchema>;

/** The answer, where the client does not stream. */
export const textCompletionSchema = z.looseObject({
  id: z.string(),
  object: z.literal('text_completion'),
  created: z.int(),
  model: z.string(),
  system_fingerprint: z.string().nullish(),
  choices: z.array(
    z.looseObject({
      index: z.int().nonnegative(),
      text: z.string(),
      logprobs: z.null(),
      finish_reason: z.string().nullable(),
      /** Ours: the passages that the answer cites, on the model `bulkhead-rag`. */
      citations: z.array(citationSchema).optional(),
    }),
  ),
  usage: tokenUsageSchema,
});
export type TextCompletion = z.infer<typeof textCompletionSchema>;
