import { z } from 'zod';
import type { DocumentFormat } from '#rag/ingest/parse/detect-format.ts';
import { packedDocumentSchema } from '#rag/ingest/parse/process/packed-document.ts';

/** What the host sends to a parser process. */
export type ParserRequest = {
  format: DocumentFormat;
  filename: string;
  mediaType: string;
  bytes: Uint8Array;
};

/** Errors that a parser may report about a document; anything else it says is taken for a crash. */
const documentErrorCodes = ['unreadable_document', 'invalid_encoding', 'unsupported_media_type'] as const;

/** What a parser process answers. It has read hostile bytes, so its answer is checked like any other input. */
export const parserReplySchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('ready') }),
  z.object({ kind: z.literal('document'), document: packedDocumentSchema }),
  z.object({ kind: z.literal('error'), code: z.enum(documentErrorCodes), message: z.string().max(1_000) }),
]);
export type ParserReply = z.infer<typeof parserReplySchema>;

export const isDocumentErrorCode = (code: string): code is (typeof documentErrorCodes)[number] =>
  documentErrorCodes.some((known) => known === code);
