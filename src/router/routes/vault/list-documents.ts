import { documentListRequestSchema, vaultDocumentPageSchema } from '#app/schemas/vault-document.ts';
import { stateOf, tenantOf } from '#router/http/request-state.ts';
import type { Endpoint } from '#router/router-services.ts';
import { answers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';

/** `GET /v1/vault/documents` */
export const listDocuments: Endpoint = (app, { rag }) => {
  app.route({
    method: 'GET',
    url: '/v1/vault/documents',
    schema: {
      ...TAGS.vault,
      summary: 'The caller’s documents and those shared with the tenant, newest first',
      querystring: documentListRequestSchema,
      response: answers(vaultDocumentPageSchema),
    },
    handler: (request) =>
      rag.listDocuments(tenantOf(request).context, request.query, stateOf(request).signal),
  });
};
