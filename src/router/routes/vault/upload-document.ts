import multipart from '@fastify/multipart';
import { z } from 'zod';
import { visibilitySchema } from '#app/schemas/multi-tenant-vault-chunk.ts';
import { documentUploadSchema, vaultDocumentSchema } from '#app/schemas/vault-document.ts';
import { stateOf, tenantOf } from '#router/http/request-state.ts';
import type { Endpoint } from '#router/router-services.ts';
import { answers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';
import { receiveDocument } from '#router/uploads/receive-document.ts';

const formSchema = z.object({
  file: z.string().meta({ format: 'binary' }),
  ...documentUploadSchema.pick({ title: true }).shape,
  visibility: visibilitySchema.default('private'),
});

/** `POST /v1/vault/documents` */
export const uploadDocument: Endpoint = (app, { rag, maxDocumentBytes }) => {
  app.register(multipart);
  app.route({
    method: 'POST',
    url: '/v1/vault/documents',
    schema: {
      ...TAGS.vault,
      summary: 'Add a document; it is indexed in the background',
      description:
        'A `multipart/form-data` form: one `file`, and optionally `title` and `visibility` (`private`, or ' +
        '`tenant` with the scope `vault:share`).',
      consumes: ['multipart/form-data'],
      body: formSchema,
      response: answers(vaultDocumentSchema, 201),
    },
    // The form is read, and judged, by receiveDocument; its schema is for readers.
    validatorCompiler: () => (value: unknown) => ({ value }),
    handler: async (request, reply) => {
      const { signal } = stateOf(request);
      const { context } = tenantOf(request);
      const { upload, file } = await receiveDocument({
        request,
        context,
        maxBytes: maxDocumentBytes,
        signal,
      });
      try {
        const document = await rag.addDocument(context, upload, file.read(), signal);
        return await reply
          .status(201)
          .header('location', `/v1/vault/documents/${document.document_id}`)
          .send(document);
      } finally {
        await file.dispose();
      }
    },
  });
};
