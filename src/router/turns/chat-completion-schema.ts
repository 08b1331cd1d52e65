import { z } from 'zod';
import { chatMessageSchema } from '#app/schemas/chat-message.ts';
import { MAX_CHOICES } from '#app/schemas/engine-parameters.ts';
import { citationSchema } from '#app/schemas/multi-tenant-vault-chunk.ts';
import { tokenUsageSchema } from '#app/schemas/token-usage.ts';

/** `POST /v1/chat/completions`. What is not named here is ignored, or passed to the engine: `ENGINE_PARAMETERS`. */
export const chatCompletionRequestSchema = z.looseObject({
  model: z.string().min(1).max(200),
  messages: z.array(chatMessageSchema).min(1).max(10_000),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  max_tokens: z.int().positive().max(10_000_000).nullish(),
  max_completion_tokens: z.int().positive().max(10_000_000).nullish(),
  stop: z.union([z.string(), z.array(z.string()).max(16)]).nullish(),
  seed: z.int().nullish(),
  n: z.int().min(1).max(MAX_CHOICES).nullish(),
});
export type ChatCompletionRequest = z.infer<typeof chatCompletionRequestSchema>;

export const assistantMessageSchema = z.looseObject({
  role: z.literal('assistant'),
  content: z.string().nullable(),
  refusal: z.string().nullish(),
  tool_calls: z.array(z.looseObject({ id: z.string().optional(), type: z.string().optional() })).optional(),
  /** Ours: the passages that the answer cites, on the model `bulkhead-rag`. */
  citations: z.array(citationSchema).optional(),
});

/** The answer, where the client does not stream. */
export const chatCompletionSchema = z.looseObject({
  id: z.string(),
  object: z.literal('chat.completion'),
  created: z.int(),
  model: z.string(),
  /** The engine that wrote the answer; `extractive` means quoted sentences, no language model. */
  system_fingerprint: z.string().nullish(),
  choices: z.array(
    z.looseObject({
      index: z.int().nonnegative(),
      message: assistantMessageSchema,
      logprobs: z.unknown().optional(),
      finish_reason: z.string().nullable(),
    }),
  ),
  usage: tokenUsageSchema,
});
export type ChatCompletion = z.infer<typeof chatCompletionSchema>;
