import { z } from 'zod';
import { conversationIdSchema, documentIdSchema, tenantIdSchema, userIdSchema } from '#app/ids.ts';
import { collectionSchema } from '#app/schemas/collection.ts';
import { citationSchema } from '#app/schemas/multi-tenant-vault-chunk.ts';
import { tokenUsageSchema } from '#app/schemas/token-usage.ts';

/** How a turn is answered: `rag` from the vault, `chat` without it, `direct` by an engine model alone. */
export const turnRouteSchema = z.enum(['chat', 'rag', 'direct']);
export type TurnRoute = z.infer<typeof turnRouteSchema>;

/** The most characters in one native message; longer texts belong in the vault. */
export const MAX_MESSAGE_CHARACTERS = 100_000;

/** `POST /v1/chat`. Unknown fields are refused, and null is as absent. The tenant and user, where named, must be the credential's. */
export const multiTenantChatRequestSchema = z.strictObject({
  tenant_id: tenantIdSchema.nullish().describe('The tenant of the credential; another is refused.'),
  user_id: userIdSchema.nullish().describe('The user of the credential; another is refused.'),
  message: z.string().trim().min(1).max(MAX_MESSAGE_CHARACTERS).describe('The question.'),
  conversation_id: conversationIdSchema
    .nullish()
    .describe('The conversation to go on with; absent: a new one.'),
  route: z
    .enum(['chat', 'rag'])
    .nullish()
    .describe('`rag`, which is the default, answers from the documents; `chat` without them.'),
  model: z.string().min(1).max(200).nullish().describe('The engine’s model; absent: the default one.'),
  document_ids: z
    .array(documentIdSchema)
    .min(1)
    .max(100)
    .nullish()
    .describe('Only these documents are searched; absent: all that the user may see.'),
  collection: collectionSchema
    .nullish()
    .describe(
      'Only documents of this collection are searched; absent: those of all that the credential reaches.',
    ),
  top_k: z
    .int()
    .min(1)
    .max(50)
    .nullish()
    .describe('The most passages to answer from; absent: as the tenant’s policy says.'),
  max_tokens: z.int().min(1).max(32_768).nullish().describe('The most tokens of the answer.'),
  temperature: z.number().min(0).max(2).nullish().describe('How freely the model chooses its words.'),
  stream: z.boolean().nullish().describe('Answer as server-sent events.'),
});
export type MultiTenantChatRequest = z.infer<typeof multiTenantChatRequestSchema>;

/** The answer of `POST /v1/chat`, and the `data` of its last SSE event, `answer`. */
export const multiTenantChatResponseSchema = z.object({
  request_id: z.string(),
  tenant_id: tenantIdSchema,
  user_id: userIdSchema,
  conversation_id: conversationIdSchema,
  route: turnRouteSchema,
  model: z.string(),
  /** The engine that wrote the answer; `extractive` means quoted sentences, no language model. */
  engine: z.string(),
  answer: z.string(),
  citations: z.array(citationSchema),
  chunk_ids: z.array(z.string()),
  finish_reason: z.string(),
  refusal_reason: z.string().nullable(),
  token_usage: tokenUsageSchema,
  cost_usd_estimate: z.number().nonnegative(),
  latency_ms: z.number().nonnegative(),
});
export type MultiTenantChatResponse = z.infer<typeof multiTenantChatResponseSchema>;
