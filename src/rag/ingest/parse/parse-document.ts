import { decodeText } from '#rag/ingest/parse/decode-text.ts';
import type { DocumentFormat } from '#rag/ingest/parse/detect-format.ts';
import { parseCsv } from '#rag/ingest/parse/parse-csv.ts';
import { parseHtml } from '#rag/ingest/parse/parse-html.ts';
import { parseJson } from '#rag/ingest/parse/parse-json.ts';
import { parseMarkdown } from '#rag/ingest/parse/parse-markdown.ts';
import { parsePlainText, parseSourceCode } from '#rag/ingest/parse/parse-plain-text.ts';
import type { ParsedDocument } from '#rag/ingest/parse/parsed-document.ts';
import { type FileLabel, unreadable } from '#rag/ingest/parse/unreadable.ts';

/**
 * Reads a file of a known format in this very process: no limit of time or memory holds here. Other than for
 * tests, use `createDocumentParser`.
 */
export async function parseDocument(
  bytes: Uint8Array,
  format: DocumentFormat,
  file: FileLabel,
): Promise<ParsedDocument> {
  const document = await parseAs(bytes, format, file);
  if (document.pages.every((page) => page.blocks.length === 0))
    throw unreadable('The document holds no text.');
  return document;
}

async function parseAs(bytes: Uint8Array, format: DocumentFormat, file: FileLabel): Promise<ParsedDocument> {
  switch (format) {
    // The large parsers are loaded when the first document needs them.
    case 'pdf':
      return (await import('#rag/ingest/parse/parse-pdf.ts')).parsePdf(bytes);
    case 'docx':
      return (await import('#rag/ingest/parse/parse-docx.ts')).parseDocx(bytes);
    case 'html':
      return parseHtml(decodeText(bytes, file, { isHtml: true }));
    case 'markdown':
      return parseMarkdown(decodeText(bytes, file));
    case 'csv':
      return parseCsv(decodeText(bytes, file));
    case 'json':
      return parseJson(decodeText(bytes, file));
    case 'code':
      return parseSourceCode(decodeText(bytes, file));
    case 'text':
      return parsePlainText(decodeText(bytes, file));
  }
}
