import { checkBlockCount } from '#rag/ingest/parse/block-limit.ts';
import { cleanText } from '#rag/ingest/parse/decode-text.ts';
import type { ParsedBlockKind, ParsedPage } from '#rag/ingest/parse/parsed-document.ts';

/** Longest heading kept as a title; the text itself keeps all of it. */
const MAX_TITLE = 200;

/** Writes the text of one page, block by block with a blank line between, and notes where each came to stand. */
export interface PageBuilder {
  /** Adds nothing when the text is blank. */
  block(kind: Exclude<ParsedBlockKind, 'heading'>, text: string): void;
  heading(level: number, text: string): void;
  /** UTF-16 units so far. */
  readonly length: number;
  build(): ParsedPage;
}

export function createPageBuilder(page: number | null = null): PageBuilder {
  const parts: string[] = [];
  const result: ParsedPage = { page, text: '', headings: [], blocks: [] };
  let length = 0;

  const add = (kind: ParsedBlockKind, text: string): { start: number; text: string } | null => {
    // Only line breaks are taken from the front of code: its first line keeps its indentation.
    const clean = cleanText(kind === 'code' ? text.replace(/^\n+/, '').trimEnd() : text.trim());
    if (clean.trim() === '') return null;
    if (length > 0) {
      parts.push('\n\n');
      length += 2;
    }
    const start = length;
    parts.push(clean);
    length += clean.length;
    result.blocks.push({ kind, start, end: length });
    checkBlockCount(result.blocks.length);
    return { start, text: clean };
  };

  return {
    block: (kind, text) => void add(kind, text),
    heading(level, text) {
      const added = add('heading', collapseSpace(text));
      if (added !== null) {
        result.headings.push({ level, title: shortTitle(added.text), offset: added.start });
      }
    },
    get length() {
      return length;
    },
    build: () => ({ ...result, text: parts.join('') }),
  };
}

/**
 * White space of any kind and length becomes one blank; nothing is trimmed. A function gives the replacement,
 * because V8 keeps about 20 times the text's memory when a string does.
 */
export const collapseSpace = (text: string): string => text.replace(/[^\S ]\s*| \s+/g, () => ' ');

/** A title cut to a length that a citation can show. */
export function shortTitle(text: string): string {
  const title = collapseSpace(text).trim();
  return title.length <= MAX_TITLE ? title : `${title.slice(0, MAX_TITLE).toWellFormed()}…`;
}
