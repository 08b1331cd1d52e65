import { z } from 'zod';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { vaultDocumentSchema } from '#app/schemas/vault-document.ts';

/** The internal HTTP API of the RAG service: what its app serves and its client calls. */
export const RAG_PATHS = {
  retrieve: '/internal/v1/retrieve',
  documents: '/internal/v1/documents',
  embeddings: '/internal/v1/embeddings',
  summary: '/internal/v1/summary',
  tenant: '/internal/v1/tenant',
} as const;

/**
 * What accompanies a body of bytes: an upload's `DocumentUpload`, a download's `VaultDocument`. JSON in base64url,
 * because names and titles are any text; not in the URL, because URLs are logged.
 */
export const RAG_METADATA_HEADER = 'x-bulkhead-document';

export const documentTextSchema = z.object({
  document: vaultDocumentSchema,
  pages: z.array(z.object({ page: z.int().positive().nullable(), text: z.string() })),
});

/** Vectors as base64 of their little-endian float32 numbers: a fourth of their size as JSON numbers. */
export const embeddingsSchema = z.object({ vectors: z.array(z.base64()), tokens: z.int().nonnegative() });

export const encodeVectors = (vectors: readonly Float32Array[]): string[] =>
  vectors.map(({ buffer, byteOffset, byteLength }) =>
    Buffer.from(buffer, byteOffset, byteLength).toString('base64'),
  );

export function decodeVector(encoded: string): Float32Array {
  const bytes = Buffer.from(encoded, 'base64');
  // A copy: the buffer of a small one is shared, and need not begin at a multiple of four.
  return new Float32Array(Uint8Array.from(bytes).buffer, 0, Math.floor(bytes.length / 4));
}

export const encodeMetadataHeader = (value: unknown): string =>
  Buffer.from(JSON.stringify(value)).toString('base64url');

/** The JSON of a metadata header, not validated yet. */
export function decodeMetadataHeader(header: unknown): unknown {
  if (typeof header !== 'string' || !/^[A-Za-z0-9_-]+$/.test(header)) throw malformed();
  try {
    return JSON.parse(Buffer.from(header, 'base64url').toString('utf8'));
  } catch (error) {
    throw malformed(error);
  }
}

const malformed = (cause?: unknown) =>
  new BulkheadError('invalid_request', `${RAG_METADATA_HEADER}: must be JSON in base64url`, {
    param: RAG_METADATA_HEADER,
    cause,
  });
