import type { ParsedDocument } from '#rag/ingest/parse/parsed-document.ts';
import { blocksBetweenBlankLines } from '#rag/ingest/parse/text-lines.ts';

/** Plain text stays as it is; paragraphs are what stands between blank lines. */
export const parsePlainText = (text: string): ParsedDocument => ({
  title: null,
  pages: [{ page: null, text, headings: [], blocks: blocksBetweenBlankLines(text, 'paragraph') }],
});

/**
 * Source code stays as it is. A block goes on over blank lines while lines are indented or close a bracket, so
 * that a function is one block.
 */
export const parseSourceCode = (text: string): ParsedDocument => {
  const continues = (line: { start: number }) => ' \t})]'.includes(text.charAt(line.start));
  return {
    title: null,
    pages: [{ page: null, text, headings: [], blocks: blocksBetweenBlankLines(text, 'code', continues) }],
  };
};
