import { stateOf, tenantOf } from '#router/http/request-state.ts';
import type { Endpoint } from '#router/router-services.ts';
import { answers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';
import { vectorStoreOf, vectorStoreParamsSchema, vectorStoreSchema } from '#router/vault/vector-store.ts';

/** `GET /v1/vector_stores/:vector_store_id` */
export const getVectorStore: Endpoint = (app, { rag }) => {
  app.route({
    method: 'GET',
    url: '/v1/vector_stores/:vector_store_id',
    schema: {
      ...TAGS.vault,
      summary: 'OpenAI-compatible: how many documents there are, and how far their indexing is',
      params: vectorStoreParamsSchema,
      response: answers(vectorStoreSchema),
    },
    handler: async (request) =>
      vectorStoreOf(await rag.summariseVault(tenantOf(request).context, stateOf(request).signal)),
  });
};
