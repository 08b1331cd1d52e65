import { z } from 'zod';
import { conversationIdSchema, documentIdSchema } from '#app/ids.ts';
import { chatCompletionChunkSchema } from '#app/schemas/chat-completion-chunk.ts';
import { chatMessageSchema } from '#app/schemas/chat-message.ts';
import { collectionSchema } from '#app/schemas/collection.ts';
import { turnRouteSchema } from '#app/schemas/multi-tenant-chat-request.ts';
import { citationSchema } from '#app/schemas/multi-tenant-vault-chunk.ts';
import { turnPolicySchema } from '#app/schemas/tenant-config.ts';
import { tokenUsageSchema } from '#app/schemas/token-usage.ts';

/** The answer of the route `rag` where the vault holds none: engines say it word for word, so that it is known. */
export const NOT_IN_DOCUMENTS = 'I could not find an answer to that in your documents.';

/** The `refusal_reason` of a turn that is answered with {@link NOT_IN_DOCUMENTS}. */
export const NO_ANSWER_IN_VAULT = 'no_answer_in_vault';

/** Tokens of an answer on the routes `chat` and `rag` whose request names no length; small models would fill their context. */
export const GRAPH_ANSWER_TOKENS = 1_024;

/** Generation parameters by their OpenAI names. Others travel in `engine_parameters` on the direct route only. */
export const samplingSchema = z.object({
  temperature: z.number().optional(),
  top_p: z.number().optional(),
  max_tokens: z.int().positive().optional(),
  stop: z.union([z.string(), z.array(z.string())]).optional(),
  seed: z.int().optional(),
});
export type Sampling = z.infer<typeof samplingSchema>;

/** Router → orchestrator: one turn, already authenticated and within policy. No tenant in it: that is the token's. */
export const turnRequestSchema = z.object({
  route: turnRouteSchema,
  /** The engine model for `direct`; null elsewhere: the orchestrator's default. */
  model: z.string().nullable(),
  /** The whole history that the client sent; with a conversation id, only the new message. */
  messages: z.array(chatMessageSchema).min(1),
  /** Continue this conversation. */
  conversation_id: conversationIdSchema.optional(),
  /** Store the turn: the native API does, the OpenAI surface does not. */
  persist: z.boolean(),
  document_ids: z.array(documentIdSchema).optional(),
  collection: collectionSchema.optional(),
  sampling: samplingSchema,
  /** What is held for the answer where `sampling` bounds none: the engine is not to write more. Tokens, of each choice. */
  answer_limit: z.int().positive().optional(),
  /** OpenAI parameters that are passed to the engine as they came, on the direct route. */
  engine_parameters: z.record(z.string(), z.unknown()),
  policy: turnPolicySchema,
});
export type TurnRequest = z.infer<typeof turnRequestSchema>;

/** Orchestrator → router, in this order: started, retrieved?, asked*, (delta | chunk)*, finished. Failure throws. */
export const turnEventSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('started'),
    conversation_id: conversationIdSchema.nullable(),
    route: turnRouteSchema,
    model: z.string(),
    engine: z.string(),
  }),
  z.object({ type: z.literal('retrieved'), citations: z.array(citationSchema) }),
  /** The engine is asked, for the nth time: it failed before. For the request log; clients do not hear of it. */
  z.object({ type: z.literal('asked'), attempts: z.int().positive() }),
  /** Answer text on the routes `chat` and `rag`. */
  z.object({
    type: z.literal('delta'),
    text: z.string(),
    /** Where the engine reports it as it goes: the turn's until here. */
    token_usage: tokenUsageSchema.optional(),
  }),
  /** The engine's own event on the route `direct`. */
  z.object({ type: z.literal('chunk'), chunk: chatCompletionChunkSchema }),
  z.object({
    type: z.literal('finished'),
    finish_reason: z.string(),
    token_usage: tokenUsageSchema,
    /** Passages that the answer cites, by the numbers in its text. */
    citations: z.array(citationSchema),
    /** Every chunk that was given to the engine. */
    chunk_ids: z.array(z.string()),
    /** `no_answer_in_vault` where the vault holds no answer; null otherwise. */
    refusal_reason: z.string().nullable(),
    timings: z.object({
      retrieve_ms: z.number(),
      generate_ms: z.number(),
      first_token_ms: z.number().nullable(),
    }),
  }),
]);
export type TurnEvent = z.infer<typeof turnEventSchema>;
/** Events that came at once, in order. An answer of many small events costs one turn of the queue a batch. */
export type TurnBatch = readonly TurnEvent[];
export type TurnFinished = Extract<TurnEvent, { type: 'finished' }>;
