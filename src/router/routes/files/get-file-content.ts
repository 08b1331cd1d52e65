import { z } from 'zod';
import { stateOf, tenantOf } from '#router/http/request-state.ts';
import type { Endpoint } from '#router/router-services.ts';
import { openAIErrors } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';
import { fileParamsSchema } from '#router/vault/file-object.ts';
import { sendOriginal } from '#router/vault/send-original.ts';

/** `GET /v1/files/:file_id/content` */
export const getFileContent: Endpoint = (app, { rag }) => {
  app.route({
    method: 'GET',
    url: '/v1/files/:file_id/content',
    schema: {
      ...TAGS.vault,
      summary: 'OpenAI-compatible: the original file',
      params: fileParamsSchema,
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
      const content = await rag.readDocument(tenantOf(request).context, request.params.file_id, signal);
      return sendOriginal(reply, content, signal);
    },
  });
};
