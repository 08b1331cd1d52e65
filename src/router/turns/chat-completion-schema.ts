import { z } from 'zod';
import { chatMessageSchema, chatRoleSchema } from '#app/schemas/chat-message.ts';
import { MAX_CHOICES } from '#app/schemas/engine-parameters.ts';
import { citationSchema } from '#app/schemas/multi-tenant-vault-chunk.ts';
import { tokenUsageSchema } from '#app/schemas/token-usage.ts';

/** Policies read the definitions; what is no list of them could not be read, and is no engine's to judge. */
const definitionsSchema = z.array(z.looseObject({})).max(500).nullish();

/** A word such as `auto`, or the name of one in an object. */
const choiceSchema = z.union([z.string().max(200), z.looseObject({})]).nullish();
const penaltySchema = z.number().min(-2).max(2).nullish();
const logitBiasSchema = z.record(z.string(), z.number()).nullish();

/** A message as clients send it: `function` is the older word for the role `tool`. */
export const requestMessageSchema = chatMessageSchema.extend({
  role: z.enum([...chatRoleSchema.options, 'function']),
});

/** `POST /v1/chat/completions`. What is not named here is ignored, or passed to the engine: `ENGINE_PARAMETERS`. */
export const chatCompletionRequestSchema = z.looseObject({
  model: z
    .string()
    .min(1)
    .max(200)
    .describe('`bulkhead-rag`, `bulkhead-chat`, or a model of the engine: `GET /v1/models` lists them.'),
  messages: z
    .array(requestMessageSchema)
    .min(1)
    .max(10_000)
    .describe('The conversation so far, oldest first.'),
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
  max_tokens: z
    .int()
    .positive()
    .max(10_000_000)
    .nullish()
    .describe('The older name of `max_completion_tokens`, which goes before it.'),
  max_completion_tokens: z
    .int()
    .positive()
    .max(10_000_000)
    .nullish()
    .describe('The most tokens of the answer.'),
  stop: z
    .union([z.string(), z.array(z.string()).max(16)])
    .nullish()
    .describe('The answer ends before any of these texts.'),
  seed: z.int().nullish().describe('The same seed and request give the same answer, where the engine can.'),
  n: z.int().min(1).max(MAX_CHOICES).nullish().describe('How many answers; our own models give one.'),
  tools: definitionsSchema.describe('The tools that the model may call; for models of the engine.'),
  tool_choice: choiceSchema.describe(
    'Whether the model may or must call a tool, or which; for models of the engine.',
  ),
  parallel_tool_calls: z
    .boolean()
    .nullish()
    .describe('Whether it may call several at once; for models of the engine.'),
  functions: definitionsSchema.describe(
    'The older form of `tools`; the answer calls one in `function_call`.',
  ),
  function_call: choiceSchema.describe('The older form of `tool_choice`.'),
  frequency_penalty: penaltySchema.describe(
    'Makes tokens rarer the more often they came; for models of the engine.',
  ),
  presence_penalty: penaltySchema.describe('Makes tokens rarer that came at all; for models of the engine.'),
  logit_bias: logitBiasSchema.describe(
    'Makes tokens, by their ids, likelier or rarer; for models of the engine.',
  ),
  logprobs: z.boolean().nullish().describe('Tell the probabilities of the tokens; for models of the engine.'),
  top_logprobs: z
    .int()
    .min(0)
    .max(100)
    .nullish()
    .describe('How many tokens to tell at each place; needs `logprobs`.'),
  reasoning_effort: z
    .string()
    .max(20)
    .nullish()
    .describe('How much the model may think; for engines that know it.'),
  response_format: z
    .looseObject({})
    .nullish()
    .describe('The form of the answer, such as a JSON schema; for models of the engine.'),
});
export type ChatCompletionRequest = z.infer<typeof chatCompletionRequestSchema>;

export const assistantMessageSchema = z.looseObject({
  role: z.literal('assistant'),
  content: z.string().nullable(),
  refusal: z.string().nullish(),
  tool_calls: z.array(z.looseObject({ id: z.string().optional(), type: z.string().optional() })).optional(),
  function_call: z
    .looseObject({ name: z.string().optional(), arguments: z.string() })
    .optional()
    .describe('Where `functions` were sent, in place of `tool_calls`.'),
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
