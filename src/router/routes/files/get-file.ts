import { stateOf, tenantOf } from '#router/http/request-state.ts';
import type { Endpoint } from '#router/router-services.ts';
import { answers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';
import { fileObjectSchema, fileOf, fileParamsSchema } from '#router/vault/file-object.ts';

/** `GET /v1/files/:file_id` */
export const getFile: Endpoint = (app, { rag }) => {
  app.route({
    method: 'GET',
    url: '/v1/files/:file_id',
    schema: {
      ...TAGS.vault,
      summary: 'OpenAI-compatible: one document',
      params: fileParamsSchema,
      response: answers(fileObjectSchema),
    },
    handler: async (request) => {
      const { signal } = stateOf(request);
      return fileOf(await rag.getDocument(tenantOf(request).context, request.params.file_id, signal));
    },
  });
};
