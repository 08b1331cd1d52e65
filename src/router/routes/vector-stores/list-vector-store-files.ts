import { z } from 'zod';
import { stateOf, tenantOf } from '#router/http/request-state.ts';
import type { Endpoint } from '#router/router-services.ts';
import { answers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';
import { listQuerySchema, pageOfQuery } from '#router/vault/list-query.ts';
import {
  vectorStoreFileOf,
  vectorStoreFilePageSchema,
  vectorStoreParamsSchema,
} from '#router/vault/vector-store.ts';

/** `GET /v1/vector_stores/:vector_store_id/files` */
export const listVectorStoreFiles: Endpoint = (app, { rag }) => {
  app.route({
    method: 'GET',
    url: '/v1/vector_stores/:vector_store_id/files',
    schema: {
      ...TAGS.vault,
      summary: 'OpenAI-compatible: the documents of the store, and how far each is indexed',
      params: vectorStoreParamsSchema,
      querystring: listQuerySchema.extend({
        filter: z
          .undefined('files are not filtered: read their status')
          .optional()
          .describe('Not taken: read their status.'),
      }),
      response: answers(vectorStoreFilePageSchema),
    },
    handler: async (request) => {
      const { signal } = stateOf(request);
      const page = await rag.listDocuments(tenantOf(request).context, pageOfQuery(request.query), signal);
      return { ...page, data: page.data.map(vectorStoreFileOf) };
    },
  });
};
