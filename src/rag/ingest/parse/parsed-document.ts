/** A heading of a page. `offset` is where its line starts in the page's text (UTF-16 units). */
export type ParsedHeading = { level: number; title: string; offset: number };

export type ParsedBlockKind = 'heading' | 'paragraph' | 'list' | 'code' | 'table';

/** A piece of a page that reads as one unit. `start` and `end` are offsets into the page's text. */
export type ParsedBlock = { kind: ParsedBlockKind; start: number; end: number };

/**
 * One page of text. `page` counts from 1 where the format has pages (PDF) and is null elsewhere. Blocks are
 * in order and do not overlap; what lies between them is white space.
 */
export type ParsedPage = {
  page: number | null;
  text: string;
  headings: ParsedHeading[];
  blocks: ParsedBlock[];
};

/** What a parser makes of a file: text without NUL and lone surrogates, and where its structure is. */
export type ParsedDocument = { title: string | null; pages: ParsedPage[] };
