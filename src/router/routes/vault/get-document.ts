import { vaultDocumentSchema } from '#app/schemas/vault-document.ts';
import { stateOf, tenantOf } from '#router/http/request-state.ts';
import type { Endpoint } from '#router/router-services.ts';
import { answers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';
import { documentParamsSchema } from '#router/routes/vault/document-params.ts';

/** `GET /v1/vault/documents/:document_id` */
export const getDocument: Endpoint = (app, { rag }) => {
  app.route({
    method: 'GET',
    url: '/v1/vault/documents/:document_id',
    schema: {
      ...TAGS.vault,
      summary: 'One document, and how far its indexing is',
      params: documentParamsSchema,
      response: answers(vaultDocumentSchema),
    },
    handler: (request) =>
      rag.getDocument(tenantOf(request).context, request.params.document_id, stateOf(request).signal),
  });
};
