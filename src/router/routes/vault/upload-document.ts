import multipart from '@fastify/multipart';
import { z } from 'zod';
import { visibilitySchema } from '#app/schemas/multi-tenant-vault-chunk.ts';
import { documentUploadSchema, vaultDocumentSchema } from '#app/schemas/vault-document.ts';
import type { Endpoint } from '#router/router-services.ts';
import { answers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';
import { addUploads } from '#router/uploads/add-uploads.ts';

export const documentFormSchema = z.object({
  file: z.string().meta({ format: 'binary', description: 'The document itself.' }),
  ...documentUploadSchema.pick({ title: true, collection: true }).shape,
  visibility: visibilitySchema.default('private'),
});

/** `POST /v1/vault/documents` */
export const uploadDocument: Endpoint = (app, services) => {
  app.register(multipart);
  const upload = addUploads(app, services);
  app.route({
    method: 'POST',
    url: '/v1/vault/documents',
    schema: {
      ...TAGS.vault,
      summary: 'Add a document; it is indexed in the background',
      description:
        'A `multipart/form-data` form: one `file`, and optionally `title`, `visibility` (`private`, or ' +
        '`tenant` with the scope `vault:share`) and `collection` (`default`, or the only one that the key is limited to).',
      consumes: ['multipart/form-data'],
      body: documentFormSchema,
      response: answers(vaultDocumentSchema, 201),
    },
    // The form is read, and judged, by receiveDocument; its schema is for readers.
    validatorCompiler: () => (value: unknown) => ({ value }),
    handler: async (request, reply) => {
      const document = await upload(request, reply);
      if (document === null) return reply;
      return reply
        .status(201)
        .header('location', `/v1/vault/documents/${document.document_id}`)
        .send(document);
    },
  });
};
