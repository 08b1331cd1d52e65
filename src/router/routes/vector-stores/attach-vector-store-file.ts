import { z } from 'zod';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { documentIdSchema } from '#app/ids.ts';
import { stateOf, tenantOf } from '#router/http/request-state.ts';
import type { Endpoint } from '#router/router-services.ts';
import { answers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';
import {
  vectorStoreFileOf,
  vectorStoreFileSchema,
  vectorStoreParamsSchema,
} from '#router/vault/vector-store.ts';

/** An id that cannot be is answered as one that is not: see the handler. */
export const attachFileSchema = z.looseObject({
  file_id: z.string().min(1).max(64).describe('The file, as `POST /v1/files` named it.'),
});

/** `POST /v1/vector_stores/:vector_store_id/files`: every file is in the store already, so this says how far it is. */
export const attachVectorStoreFile: Endpoint = (app, { rag }) => {
  app.route({
    method: 'POST',
    url: '/v1/vector_stores/:vector_store_id/files',
    schema: {
      ...TAGS.vault,
      summary: 'OpenAI-compatible: put a file into the store, where every file already is',
      description: 'Changes nothing: tells how far the file is indexed, as OpenAI’s clients expect.',
      params: vectorStoreParamsSchema,
      body: attachFileSchema,
      response: answers(vectorStoreFileSchema),
    },
    handler: async (request) => {
      const { signal } = stateOf(request);
      const id = documentIdSchema.safeParse(request.body.file_id);
      if (!id.success) throw noSuchFile();
      try {
        return vectorStoreFileOf(await rag.getDocument(tenantOf(request).context, id.data, signal));
      } catch (error) {
        // The 404 of this path speaks of the store.
        if (error instanceof BulkheadError && error.code === 'not_found') throw noSuchFile();
        throw error;
      }
    },
  });
};

const noSuchFile = () =>
  new BulkheadError('invalid_request', 'file_id: there is no such file', { param: 'file_id' });
