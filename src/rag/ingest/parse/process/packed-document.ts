import { z } from 'zod';
import type { ParsedBlockKind, ParsedDocument, ParsedPage } from '#rag/ingest/parse/parsed-document.ts';

const KINDS = ['heading', 'paragraph', 'list', 'code', 'table'] as const satisfies readonly ParsedBlockKind[];

const packedPageSchema = z.object({
  page: z.int().positive().nullable(),
  text: z.string(),
  titles: z.array(z.string()),
  /** Level and offset of each heading. */
  headings: z.instanceof(Uint32Array),
  /** Kind, start and end of each block. */
  blocks: z.instanceof(Uint32Array),
});

/**
 * A parsed document in few objects. A large one has 250,000 blocks: as objects they would hold up the host's
 * event loop for half a second while they cross the process border.
 */
export const packedDocumentSchema = z.object({
  title: z.string().nullable(),
  pages: z.array(packedPageSchema),
});
export type PackedDocument = z.infer<typeof packedDocumentSchema>;

export const packDocument = (document: ParsedDocument): PackedDocument => ({
  title: document.title,
  pages: document.pages.map(({ page, text, headings, blocks }) => ({
    page,
    text,
    titles: headings.map((heading) => heading.title),
    headings: Uint32Array.from(headings.flatMap(({ level, offset }) => [level, offset])),
    blocks: Uint32Array.from(blocks.flatMap(({ kind, start, end }) => [KINDS.indexOf(kind), start, end])),
  })),
});

/** The document again, or null when its offsets make no sense. */
export function unpackDocument(packed: PackedDocument): ParsedDocument | null {
  const pages: ParsedPage[] = [];
  for (const { page, text, titles, headings, blocks } of packed.pages) {
    const unpacked: ParsedPage = { page, text, headings: [], blocks: [] };
    if (headings.length !== titles.length * 2 || blocks.length % 3 !== 0) return null;
    for (const [index, title] of titles.entries()) {
      const level = headings[index * 2];
      const offset = headings[index * 2 + 1];
      if (level === undefined || level === 0 || offset === undefined || offset >= text.length) return null;
      unpacked.headings.push({ level, title, offset });
    }
    let lastEnd = 0;
    for (let at = 0; at < blocks.length; at += 3) {
      const kind = KINDS[blocks[at] ?? -1];
      const start = blocks[at + 1];
      const end = blocks[at + 2];
      if (kind === undefined || start === undefined || end === undefined) return null;
      if (start < lastEnd || end <= start || end > text.length) return null;
      unpacked.blocks.push({ kind, start, end });
      lastEnd = end;
    }
    pages.push(unpacked);
  }
  return { title: packed.title, pages };
}
