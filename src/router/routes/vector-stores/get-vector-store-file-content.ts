import { z } from 'zod';
import { stateOf, tenantOf } from '#router/http/request-state.ts';
import type { Endpoint } from '#router/router-services.ts';
import { answers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';
import { renameParam } from '#router/turns/rename-param.ts';
import { vectorStoreFileParamsSchema } from '#router/vault/vector-store.ts';

/** One part a page of the document. It is all on one page of the list, as clients expect of it. */
export const vectorStoreFileContentSchema = z.object({
  object: z.literal('vector_store.file_content.page'),
  data: z.array(z.object({ type: z.literal('text'), text: z.string() })),
  has_more: z.literal(false),
  next_page: z.null(),
});

/** `GET /v1/vector_stores/:vector_store_id/files/:file_id/content` */
export const getVectorStoreFileContent: Endpoint = (app, { rag }) => {
  app.route({
    method: 'GET',
    url: '/v1/vector_stores/:vector_store_id/files/:file_id/content',
    schema: {
      ...TAGS.vault,
      summary: 'OpenAI-compatible: the text that was read from a document',
      params: vectorStoreFileParamsSchema,
      response: answers(vectorStoreFileContentSchema),
    },
    handler: async (request) => {
      const { signal } = stateOf(request);
      const { context } = tenantOf(request);
      try {
        const { pages } = await rag.readDocumentText(context, request.params.file_id, signal);
        const data = pages.map(({ text }) => ({ type: 'text' as const, text }));
        return {
          object: 'vector_store.file_content.page' as const,
          data,
          has_more: false as const,
          next_page: null,
        };
      } catch (error) {
        throw renameParam(error, (param) => (param === 'document_id' ? 'file_id' : param));
      }
    },
  });
};
