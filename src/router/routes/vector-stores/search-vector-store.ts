import { z } from 'zod';
import { requiredOr } from '#app/errors/plain-message.ts';
import { documentIdSchema } from '#app/ids.ts';
import { retrieveRequestSchema } from '#app/schemas/vault-document.ts';
import type { Endpoint } from '#router/router-services.ts';
import { answers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';
import { searchDocuments } from '#router/vault/search-documents.ts';
import { vectorStoreParamsSchema } from '#router/vault/vector-store.ts';

const query = retrieveRequestSchema.shape.query;
/** A filter that is not applied would be a leak: what is not done here is refused. */
export const vectorStoreSearchRequestSchema = z.looseObject({
  query: z
    .union([query, z.array(query).length(1)], {
      error: requiredOr('must be a string of at most 10,000 characters, or an array of one'),
    })
    .describe('What is looked for: one text, alone or in a list.'),
  max_num_results: z.int().min(1).max(50).nullish().describe('The most passages; 10 unless it says so.'),
  filters: z
    .null('files have no attributes to filter by; /v1/vault/search takes document_ids')
    .optional()
    .describe('Only null: files have no attributes.'),
  rewrite_query: z.literal(false, 'queries are not rewritten').nullish().describe('Only false.'),
  ranking_options: z
    .looseObject({
      score_threshold: z.literal(0, 'scores order one answer alone: they have no threshold').nullish(),
    })
    .nullish()
    .describe('Without effect; a `score_threshold` other than 0 is refused.'),
});

export const vectorStoreSearchPageSchema = z.object({
  object: z.literal('vector_store.search_results.page'),
  search_query: z.array(z.string()),
  data: z.array(
    z.object({
      file_id: documentIdSchema,
      filename: z.string(),
      score: z.number(),
      attributes: z.object({}),
      content: z.array(z.object({ type: z.literal('text'), text: z.string() })),
    }),
  ),
  has_more: z.literal(false),
  next_page: z.null(),
});

/** `POST /v1/vector_stores/:vector_store_id/search` */
export const searchVectorStore: Endpoint = (app, services) => {
  app.route({
    method: 'POST',
    url: '/v1/vector_stores/:vector_store_id/search',
    schema: {
      ...TAGS.vault,
      summary: 'OpenAI-compatible: the passages nearest to a query, best first',
      description:
        'As `POST /v1/vault/search`, in OpenAI’s words: a result is a passage, and names its file.',
      params: vectorStoreParamsSchema,
      body: vectorStoreSearchRequestSchema,
      response: answers(vectorStoreSearchPageSchema),
    },
    handler: async (request) => {
      const { query: asked, max_num_results } = request.body;
      const top_k = max_num_results ?? 10;
      const text = typeof asked === 'string' ? asked : asked.join('');
      const param = typeof asked === 'string' ? 'query' : 'query.0';
      const { chunks } = await searchDocuments({ request, services, param, search: { query: text, top_k } });
      return {
        object: 'vector_store.search_results.page' as const,
        search_query: [text],
        data: chunks.map(({ document_id, filename, score, text: passage }) => ({
          file_id: document_id,
          filename,
          score,
          attributes: {},
          content: [{ type: 'text' as const, text: passage }],
        })),
        has_more: false as const,
        next_page: null,
      };
    },
  });
};
