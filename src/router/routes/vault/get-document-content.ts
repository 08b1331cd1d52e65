import { z } from 'zod';
import { stateOf, tenantOf } from '#router/http/request-state.ts';
import type { Endpoint } from '#router/router-services.ts';
import { openAIErrors } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';
import { documentParamsSchema } from '#router/routes/vault/document-params.ts';
import { sendOriginal } from '#router/vault/send-original.ts';

/** `GET /v1/vault/documents/:document_id/content` */
export const getDocumentContent: Endpoint = (app, { rag }) => {
  app.route({
    method: 'GET',
    url: '/v1/vault/documents/:document_id/content',
    schema: {
      ...TAGS.vault,
      summary: 'The original file, as it was uploaded',
      params: documentParamsSchema,
      response: {
        200: {
          description: 'The file’s bytes.',
          content: { 'application/octet-stream': { schema: z.any() } },
        },
        ...openAIErrors,
      },
    },
    handler: async (request, reply) => {
      const { signal } = stateOf(request);
      const content = await rag.readDocument(tenantOf(request).context, request.params.document_id, signal);
      return sendOriginal(reply, content, signal);
    },
  });
};
