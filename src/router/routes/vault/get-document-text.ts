import { z } from 'zod';
import { vaultDocumentSchema } from '#app/schemas/vault-document.ts';
import { stateOf, tenantOf } from '#router/http/request-state.ts';
import type { Endpoint } from '#router/router-services.ts';
import { answers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';
import { documentParamsSchema } from '#router/routes/vault/document-params.ts';

export const documentTextSchema = z.object({
  document: vaultDocumentSchema,
  pages: z.array(z.object({ page: z.int().positive().nullable(), text: z.string() })),
});

/** `GET /v1/vault/documents/:document_id/text` */
export const getDocumentText: Endpoint = (app, { rag }) => {
  app.route({
    method: 'GET',
    url: '/v1/vault/documents/:document_id/text',
    schema: {
      ...TAGS.vault,
      summary: 'The extracted text that the offsets of citations point into',
      params: documentParamsSchema,
      response: answers(documentTextSchema),
    },
    handler: async (request) => {
      const { context } = tenantOf(request);
      const text = await rag.readDocumentText(context, request.params.document_id, stateOf(request).signal);
      return { document: text.document, pages: [...text.pages] };
    },
  });
};
