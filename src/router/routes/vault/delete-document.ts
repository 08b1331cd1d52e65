import { stateOf, tenantOf } from '#router/http/request-state.ts';
import type { Endpoint } from '#router/router-services.ts';
import { answers, noContent } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';
import { documentParamsSchema } from '#router/routes/vault/document-params.ts';

/** `DELETE /v1/vault/documents/:document_id` */
export const deleteDocument: Endpoint = (app, { rag }) => {
  app.route({
    method: 'DELETE',
    url: '/v1/vault/documents/:document_id',
    schema: {
      ...TAGS.vault,
      summary: 'Delete a document; no search finds it from then on',
      params: documentParamsSchema,
      response: answers(noContent, 204),
    },
    handler: async (request, reply) => {
      await rag.deleteDocument(
        tenantOf(request).context,
        request.params.document_id,
        stateOf(request).signal,
      );
      return reply.status(204).send();
    },
  });
};
