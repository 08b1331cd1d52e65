import type { FastifyReply, FastifyRequest } from 'fastify';
import type { VaultDocument } from '#app/schemas/vault-document.ts';
import { stateOf, tenantOf } from '#router/http/request-state.ts';
import { addIdempotentAnswers, idempotencyKeyOf } from '#router/idempotency/add-idempotent-answers.ts';
import type { RouterApp, RouterServices } from '#router/router-services.ts';
import { type DocumentForm, receiveDocument } from '#router/uploads/receive-document.ts';

/** How a route reads its form. */
export type UploadForm = Readonly<{
  form?: DocumentForm;
  /** Throws where the fields beside the document's are wrong; what it answers is part of what was asked. */
  readFields?: (fields: ReadonlyMap<string, string>) => readonly string[];
}>;

/** Reads a form and stores its file. null: the answer was sent already, because it was asked before. */
export type Upload = (request: FastifyRequest, reply: FastifyReply) => Promise<VaultDocument | null>;

/**
 * Uploads for the routes of `app`, which may carry an `Idempotency-Key`. What counts as the same content is the parsed
 * form: clients draw a new boundary each time. A failed upload leaves its key free, because storing an equal document
 * again is storing it once.
 */
export function addUploads(app: RouterApp, services: RouterServices, options: UploadForm = {}): Upload {
  const { rag, maxDocumentBytes, uploads } = services;
  const { form, readFields = () => [] } = options;
  const answers = addIdempotentAnswers(app, services, { isRepeatable: true });

  return async (request, reply) => {
    const { signal } = stateOf(request);
    const { context } = tenantOf(request);
    const key = idempotencyKeyOf(request);
    // Until then the body stays where it is: in the client, and in the buffers of its connection.
    return uploads.run(context.tenantId, signal, () => store(request, reply, key));
  };

  async function store(
    request: FastifyRequest,
    reply: FastifyReply,
    key: string | null,
  ): Promise<VaultDocument | null> {
    const { signal } = stateOf(request);
    const { context } = tenantOf(request);
    const { upload, fields, file } = await receiveDocument({
      request,
      context,
      maxBytes: maxDocumentBytes,
      ...(form === undefined ? {} : { form }),
      signal,
    });
    try {
      const others = readFields(fields);
      if (key !== null) {
        const content = [file.contentHash, JSON.stringify(upload), ...others];
        if (await answers.replay(request, reply, { key, content, tenantId: context.tenantId })) return null;
      }
      return await rag.addDocument(context, upload, file.read(), signal);
    } finally {
      await file.dispose();
    }
  }
}
