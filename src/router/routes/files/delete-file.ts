import { z } from 'zod';
import { documentIdSchema } from '#app/ids.ts';
import { stateOf, tenantOf } from '#router/http/request-state.ts';
import type { Endpoint } from '#router/router-services.ts';
import { answers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';
import { fileParamsSchema } from '#router/vault/file-object.ts';

export const deletedFileSchema = z.object({
  id: documentIdSchema,
  object: z.literal('file'),
  deleted: z.literal(true),
});

/** `DELETE /v1/files/:file_id` */
export const deleteFile: Endpoint = (app, { rag }) => {
  app.route({
    method: 'DELETE',
    url: '/v1/files/:file_id',
    schema: {
      ...TAGS.vault,
      summary: 'OpenAI-compatible: delete a document; no search finds it from then on',
      params: fileParamsSchema,
      response: answers(deletedFileSchema),
    },
    handler: async (request) => {
      const { file_id: id } = request.params;
      await rag.deleteDocument(tenantOf(request).context, id, stateOf(request).signal);
      return { id, object: 'file' as const, deleted: true as const };
    },
  });
};
