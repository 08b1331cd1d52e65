import { z } from 'zod';
import { stateOf, tenantOf } from '#router/http/request-state.ts';
import type { Endpoint } from '#router/router-services.ts';
import { openAIErrors } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';
import { documentParamsSchema } from '#router/routes/vault/document-params.ts';

/** `GET /v1/vault/documents/:document_id/content` */
export const getDocumentContent: Endpoint = (app, { rag }) => {
  app.route({
    method: 'GET',
    url: '/v1/vault/documents/:document_id/content',
    schema: {
      ...TAGS.vault,
      summary: 'The original file, as it was uploaded',
      params: documentParamsSchema,
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
      const { document, body } = await rag.readDocument(
        tenantOf(request).context,
        request.params.document_id,
        signal,
      );
      signal.addEventListener('abort', () => body.destroy(), { once: true });
      // A file from a user is never shown as a page of ours, whatever it claims to be.
      return reply
        .type('application/octet-stream')
        .header('content-length', document.byte_size)
        .header('content-disposition', attachment(document.filename))
        .header('content-security-policy', "default-src 'none'; sandbox")
        .send(body);
    },
  });
};

/** RFC 6266: an ASCII name for old clients, the real one for the others. */
function attachment(filename: string): string {
  const ascii = filename.replace(/[^\w .()-]/g, '_');
  const encoded = encodeURIComponent(filename.toWellFormed()).replace(
    /['()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `attachment; filename="${ascii}"; filename*=UTF-8''${encoded}`;
}
