import multipart from '@fastify/multipart';
import { z } from 'zod';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { collectionSchema } from '#app/schemas/collection.ts';
import { visibilitySchema } from '#app/schemas/multi-tenant-vault-chunk.ts';
import type { Endpoint } from '#router/router-services.ts';
import { answers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';
import { addUploads } from '#router/uploads/add-uploads.ts';
import { OPENAI_FORM } from '#router/uploads/receive-document.ts';
import { fileObjectSchema, fileOf, PURPOSES } from '#router/vault/file-object.ts';

export const fileFormSchema = z.object({
  file: z.string().meta({ format: 'binary', description: 'The document itself.' }),
  purpose: z.enum(PURPOSES).describe('Documents to answer from; both words mean the same here.'),
  visibility: visibilitySchema.default('private'),
  collection: collectionSchema.optional(),
});

/** `POST /v1/files` */
export const createFile: Endpoint = (app, services) => {
  app.register(multipart);
  const upload = addUploads(app, services, { form: OPENAI_FORM, readFields });
  app.route({
    method: 'POST',
    url: '/v1/files',
    schema: {
      ...TAGS.vault,
      summary: 'OpenAI-compatible: add a document',
      description:
        'The same as `POST /v1/vault/documents`, in OpenAI’s words: a form with one `file` and its `purpose`. The file is in ' +
        'the vector store `vs_vault` at once, and found there when its status is `processed`.',
      consumes: ['multipart/form-data'],
      body: fileFormSchema,
      response: answers(fileObjectSchema),
    },
    // The form is read, and judged, by receiveDocument; its schema is for readers.
    validatorCompiler: () => (value: unknown) => ({ value }),
    handler: async (request, reply) => {
      const document = await upload(request, reply);
      return document === null ? reply : fileOf(document);
    },
  });
};

function readFields(fields: ReadonlyMap<string, string>): readonly string[] {
  const purpose = fields.get('purpose');
  if (purpose === undefined || !PURPOSES.some((known) => known === purpose)) {
    throw invalid('purpose', `must be ${PURPOSES.join(' or ')}`);
  }
  for (const name of fields.keys()) {
    if (name.startsWith('expires_after')) throw invalid('expires_after', 'files do not expire: delete them');
  }
  return [purpose];
}

const invalid = (param: string, reason: string) =>
  new BulkheadError('invalid_request', `${param}: ${reason}`, { param });
