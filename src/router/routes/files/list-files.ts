import { z } from 'zod';
import { toPage } from '#app/schemas/page.ts';
import { documentListRequestSchema } from '#app/schemas/vault-document.ts';
import { stateOf, tenantOf } from '#router/http/request-state.ts';
import type { Endpoint } from '#router/router-services.ts';
import { answers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';
import { fileOf, filePageSchema, PURPOSES } from '#router/vault/file-object.ts';
import { listQuerySchema, pageOfQuery } from '#router/vault/list-query.ts';

/** `GET /v1/files` */
export const listFiles: Endpoint = (app, { rag }) => {
  app.route({
    method: 'GET',
    url: '/v1/files',
    schema: {
      ...TAGS.vault,
      summary: 'OpenAI-compatible: the documents that the caller sees',
      querystring: listQuerySchema.extend({
        purpose: z.string().max(64).optional().describe('Only files of this purpose.'),
        collection: documentListRequestSchema.shape.collection,
      }),
      response: answers(filePageSchema),
    },
    handler: async (request) => {
      const { purpose, collection, ...query } = request.query;
      // Of other purposes there are none.
      if (purpose !== undefined && !PURPOSES.some((known) => known === purpose)) return toPage([], 1, String);
      const { signal } = stateOf(request);
      const asked = { ...pageOfQuery(query), ...(collection === undefined ? {} : { collection }) };
      const page = await rag.listDocuments(tenantOf(request).context, asked, signal);
      return { ...page, data: page.data.map(fileOf) };
    },
  });
};
