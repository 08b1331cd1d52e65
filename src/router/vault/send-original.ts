import type { FastifyReply } from 'fastify';
import type { DocumentContent } from '#app/services/rag-service.ts';

/** Sends a document's file. What a user uploaded is never shown as a page of ours, whatever it claims to be. */
export function sendOriginal(
  reply: FastifyReply,
  { document, body }: DocumentContent,
  signal: AbortSignal,
): FastifyReply {
  signal.addEventListener('abort', () => body.destroy(), { once: true });
  return reply
    .type('application/octet-stream')
    .header('content-length', document.byte_size)
    .header('content-disposition', attachment(document.filename))
    .header('content-security-policy', "default-src 'none'; sandbox")
    .send(body);
}

/** RFC 6266: an ASCII name for old clients, the real one for the others. */
function attachment(filename: string): string {
  const ascii = filename.replace(/[^\w .()-]/g, '_');
  const encoded = encodeURIComponent(filename.toWellFormed()).replace(
    /['()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `attachment; filename="${ascii}"; filename*=UTF-8''${encoded}`;
}
