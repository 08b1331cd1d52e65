import { z } from 'zod';
import { requiredOr } from '#app/errors/plain-message.ts';
import { citationSchema } from '#app/schemas/multi-tenant-vault-chunk.ts';
import { tokenUsageSchema } from '#app/schemas/token-usage.ts';
import { logitBiasSchema, penaltySchema } from '#router/turns/chat-completion-schema.ts';

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
  stream: z.boolean().nullish().describe('Answer as server-sent events.'),
  stream_options: z
    .looseObject({ include_usage: z.boolean().nullish() })
    .nullish()
    .describe('With `include_usage`, the last event tells the tokens that were used.'),
  temperature: z.number().min(0).max(2).nullish().describe('0: always the likeliest token.'),
  top_p: z
    .number()
    .min(0)
    .max(1)
    .nullish()
    .describe('Only the likeliest tokens, with so much probability together.'),
  max_tokens: z.int().positive().max(10_000_000).nullish().describe('The most tokens of the answer.'),
  stop: z
    .union([z.string(), z.array(z.string()).max(16)])
    .nullish()
    .describe('The answer ends before any of these texts.'),
  seed: z.int().nullish().describe('The same seed and request give the same answer, where the engine can.'),
  n: z.int().min(1).max(8).nullish().describe('How many answers; our own models give one.'),
  frequency_penalty: penaltySchema.describe(
    'Makes tokens rarer the more often they came; for models of the engine.',
  ),
  presence_penalty: penaltySchema.describe('Makes tokens rarer that came at all; for models of the engine.'),
  logit_bias: logitBiasSchema.describe(
    'Makes tokens, by their ids, likelier or rarer; for models of the engine.',
  ),
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
