import { shortTitle } from '#rag/ingest/parse/page-builder.ts';
import type { ParsedDocument } from '#rag/ingest/parse/parsed-document.ts';

/**
 * CSV and TSV stay as they are, in one table. The first record, which names the columns, is the heading that
 * every chunk of rows carries along. Line breaks in quotes don't end a record.
 */
export function parseCsv(text: string): ParsedDocument {
  const start = firstTextOffset(text);
  const headerEnd = endOfRecord(text, start);
  const header = text.slice(start, headerEnd).trimEnd();
  const rowsStart = firstTextOffset(text, headerEnd);
  const end = text.trimEnd().length;
  if (rowsStart >= end) {
    return {
      title: null,
      pages: [{ page: null, text, headings: [], blocks: [{ kind: 'table', start, end }] }],
    };
  }
  return {
    title: null,
    pages: [
      {
        page: null,
        text,
        headings: [{ level: 1, title: shortTitle(header), offset: start }],
        blocks: [
          { kind: 'heading', start, end: start + header.length },
          { kind: 'table', start: rowsStart, end },
        ],
      },
    ],
  };
}

function firstTextOffset(text: string, from = 0): number {
  let at = from;
  while (at < text.length && text.charAt(at).trim() === '') at++;
  return at;
}

function endOfRecord(text: string, start: number): number {
  let isQuoted = false;
  for (let at = start; at < text.length; at++) {
    const character = text.charAt(at);
    if (character === '"') isQuoted = !isQuoted;
    else if (!isQuoted && (character === '\n' || character === '\r')) return at;
  }
  return text.length;
}
