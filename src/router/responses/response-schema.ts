import { z } from 'zod';
import { citationSchema } from '#app/schemas/multi-tenant-vault-chunk.ts';

const statusSchema = z.enum(['in_progress', 'completed', 'incomplete']);

/** Where the answer's text cites a document: `index` is the place of the marker in it, UTF-16 units. */
export const fileCitationSchema = z.object({
  type: z.literal('file_citation'),
  file_id: z.string(),
  filename: z.string(),
  index: z.int().nonnegative(),
});
export type FileCitation = z.infer<typeof fileCitationSchema>;

const tokenSchema = z.object({ token: z.string(), logprob: z.number(), bytes: z.array(z.int()) });
/** A token of the text with its log probability, and the likeliest ones at its place. */
export const tokenLogprobSchema = tokenSchema.extend({ top_logprobs: z.array(tokenSchema) });
export type TokenLogprob = z.infer<typeof tokenLogprobSchema>;

const textPartSchema = z.object({
  type: z.literal('output_text'),
  text: z.string(),
  annotations: z.array(fileCitationSchema),
  logprobs: z.array(tokenLogprobSchema),
});
const refusalPartSchema = z.object({ type: z.literal('refusal'), refusal: z.string() });

export const messageItemSchema = z.object({
  type: z.literal('message'),
  id: z.string(),
  status: statusSchema,
  role: z.literal('assistant'),
  content: z.array(z.union([textPartSchema, refusalPartSchema])),
  /** Ours: the passages that the answer cites, on the model `bulkhead-rag`. */
  citations: z.array(citationSchema).optional(),
});
export const functionCallItemSchema = z.object({
  type: z.literal('function_call'),
  id: z.string(),
  call_id: z.string(),
  name: z.string(),
  arguments: z.string(),
  status: statusSchema,
});
export const reasoningItemSchema = z.object({
  type: z.literal('reasoning'),
  id: z.string(),
  summary: z.array(z.never()),
  content: z.array(z.object({ type: z.literal('reasoning_text'), text: z.string() })),
  status: statusSchema,
});
export const outputItemSchema = z.union([messageItemSchema, functionCallItemSchema, reasoningItemSchema]);
export type MessageItem = z.infer<typeof messageItemSchema>;
export type FunctionCallItem = z.infer<typeof functionCallItemSchema>;
export type ReasoningItem = z.infer<typeof reasoningItemSchema>;
export type OutputItem = z.infer<typeof outputItemSchema>;

const usageSchema = z.object({
  input_tokens: z.int().nonnegative(),
  /** Engines do not say what they wrote to their caches: `cache_write_tokens` is always 0. */
  input_tokens_details: z.object({
    cached_tokens: z.int().nonnegative(),
    cache_write_tokens: z.int().nonnegative(),
  }),
  output_tokens: z.int().nonnegative(),
  output_tokens_details: z.object({ reasoning_tokens: z.int().nonnegative() }),
  total_tokens: z.int().nonnegative(),
});
export type ResponseUsage = z.infer<typeof usageSchema>;

/** A response, whole or as far as it is. */
export const responseSchema = z.looseObject({
  id: z.string(),
  object: z.literal('response'),
  created_at: z.int(),
  completed_at: z.int().nullable(),
  status: z.enum(['in_progress', 'completed', 'incomplete', 'failed']),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
  incomplete_details: z.object({ reason: z.enum(['max_output_tokens', 'content_filter']) }).nullable(),
  model: z.string(),
  /** The engine that wrote the answer; `extractive` means quoted sentences, no language model. */
  system_fingerprint: z.string().nullable(),
  output: z.array(outputItemSchema),
  usage: usageSchema.nullable(),
  /** Whether the response is kept, and can be referred to. */
  store: z.boolean(),
});
export type ResponseObject = z.infer<typeof responseSchema>;
