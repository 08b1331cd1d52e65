import { z } from 'zod';
import { retrievedChunkSchema } from '#app/schemas/multi-tenant-vault-chunk.ts';
import { retrieveRequestSchema } from '#app/schemas/vault-document.ts';
import type { Endpoint } from '#router/router-services.ts';
import { answers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';
import { searchDocuments } from '#router/vault/search-documents.ts';

const { query, top_k, diversity, document_ids, collection } = retrieveRequestSchema.shape;
const orNull = <Schema extends z.ZodType>(schema: Schema) =>
  schema.nullish().describe(schema.description ?? '');

/** Null is as absent. */
export const searchRequestSchema = z.strictObject({
  query,
  top_k: orNull(top_k),
  diversity: orNull(diversity),
  document_ids: orNull(document_ids),
  collection: orNull(collection),
  tenant_id: z.string().nullish().describe('Your own; another is refused.'),
  user_id: z.string().nullish().describe('Your own; another is refused.'),
});

export const searchResultSchema = z.object({
  object: z.literal('list'),
  data: z.array(retrievedChunkSchema),
  timings: z.object({ embed_ms: z.number(), search_ms: z.number() }),
});

/** `POST /v1/vault/search` */
export const searchVault: Endpoint = (app, services) => {
  app.route({
    method: 'POST',
    url: '/v1/vault/search',
    schema: {
      ...TAGS.vault,
      summary: 'The passages nearest to a query, best first',
      description:
        'By meaning and by words, among the documents that the caller sees. `top_k` and `diversity` are the policy’s where they are ' +
        'absent. No model is asked.',
      body: searchRequestSchema,
      response: answers(searchResultSchema),
    },
    handler: async (request) => {
      const { tenant_id: _tenant, user_id: _user, ...search } = request.body;
      const found = await searchDocuments({ request, services, param: 'query', search });
      return { object: 'list' as const, data: found.chunks, timings: found.timings };
    },
  });
};
