import { z } from 'zod';
import { requiredOr } from '#app/errors/plain-message.ts';
import { citationSchema } from '#app/schemas/multi-tenant-vault-chunk.ts';
import { tokenUsageSchema } from '#app/schemas/token-usage.ts';
import { chatCompletionRequestSchema } from '#router/turns/chat-completion-schema.ts';

/** What the older API has and a chat turn has not: refused, because an answer without it would be another answer. */
const refused = (why: string) => z.null(why).optional();

/** `POST /v1/completions`, the API before chat. What is not named here is ignored. */
export const textCompletionRequestSchema = z.looseObject({
  model: z
    .string()
    .min(1)
    .max(200)
    .describe('`bulkhead-rag`, `bulkhead-chat`, or a model of the engine: `GET /v1/models` lists them.'),
  prompt: z
    .union([z.string().min(1), z.array(z.string().min(1)).length(1)], {
      error: requiredOr('must be a string, or an array of one; arrays of tokens are not taken'),
    })
    .describe('What is asked: one text, alone or in a list.'),
  ...chatCompletionRequestSchema.pick({
    stream: true,
    stream_options: true,
    temperature: true,
    top_p: true,
    stop: true,
    seed: true,
    n: true,
    frequency_penalty: true,
    presence_penalty: true,
    logit_bias: true,
  }).shape,
  max_tokens: z.int().positive().max(10_000_000).nullish().describe('The most tokens of the answer.'),
  echo: z.literal(false, 'the prompt is not given back').nullish().describe('Only false.'),
  best_of: z.literal(1, 'answers are not chosen among').nullish().describe('Only 1.'),
  logprobs: refused('log probabilities are on /v1/chat/completions alone').describe(
    'Only null: chat completions have them.',
  ),
  suffix: refused('text is not filled in before a suffix').describe('Only null.'),
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
