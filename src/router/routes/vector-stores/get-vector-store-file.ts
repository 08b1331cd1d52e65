import { stateOf, tenantOf } from '#router/http/request-state.ts';
import type { Endpoint } from '#router/router-services.ts';
import { answers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';
import {
  vectorStoreFileOf,
  vectorStoreFileParamsSchema,
  vectorStoreFileSchema,
} from '#router/vault/vector-store.ts';

/** `GET /v1/vector_stores/:vector_store_id/files/:file_id` */
export const getVectorStoreFile: Endpoint = (app, { rag }) => {
  app.route({
    method: 'GET',
    url: '/v1/vector_stores/:vector_store_id/files/:file_id',
    schema: {
      ...TAGS.vault,
      summary: 'OpenAI-compatible: how far a document is indexed',
      params: vectorStoreFileParamsSchema,
      response: answers(vectorStoreFileSchema),
    },
    handler: async (request) => {
      const { signal } = stateOf(request);
      const { context } = tenantOf(request);
      return vectorStoreFileOf(await rag.getDocument(context, request.params.file_id, signal));
    },
  });
};
