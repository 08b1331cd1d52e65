import { toPage } from '#app/schemas/page.ts';
import { stateOf, tenantOf } from '#router/http/request-state.ts';
import type { Endpoint } from '#router/router-services.ts';
import { answers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';
import { listQuerySchema } from '#router/vault/list-query.ts';
import { vectorStoreOf, vectorStorePageSchema } from '#router/vault/vector-store.ts';

/** `GET /v1/vector_stores` */
export const listVectorStores: Endpoint = (app, { rag }) => {
  app.route({
    method: 'GET',
    url: '/v1/vector_stores',
    schema: {
      ...TAGS.vault,
      summary: 'OpenAI-compatible: the caller’s one store, `vs_vault`, of all documents that it sees',
      querystring: listQuerySchema,
      response: answers(vectorStorePageSchema),
    },
    handler: async (request) => {
      const store = vectorStoreOf(
        await rag.summariseVault(tenantOf(request).context, stateOf(request).signal),
      );
      return toPage(request.query.after === undefined ? [store] : [], 1, ({ id }) => id);
    },
  });
};
