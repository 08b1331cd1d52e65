import { isDefinitions, type MarkdownBlock, scanMarkdownBlocks } from '#rag/ingest/parse/markdown-blocks.ts';
import { hasTextOutsideTags } from '#rag/ingest/parse/markdown-html.ts';
import { shortTitle } from '#rag/ingest/parse/page-builder.ts';
import type { ParsedDocument, ParsedHeading } from '#rag/ingest/parse/parsed-document.ts';
import { linesOf } from '#rag/ingest/parse/text-lines.ts';

/** Front matter that isn't closed within this is none. */
const MAX_FRONT_MATTER = 65_536;
const MAX_HEADING = 2_000;
/** Inline markup that often stands alone: `<a id="section"></a>`, pictures. */
const ANCHOR = /^<(?:a|img|br|span)[\s>]/i;

/**
 * Reads Markdown. The text is the original; front matter, comments, markup without text and link definitions
 * stay in it, but belong to no block.
 */
export function parseMarkdown(text: string): ParsedDocument {
  const frontMatter = readFrontMatter(text);
  const blocks = scanMarkdownBlocks(text, frontMatter.end).filter((block) => isReadable(text, block));
  const headings = blocks.flatMap((block): ParsedHeading[] =>
    block.level > 0 ? [{ level: block.level, title: headingTitle(text, block), offset: block.start }] : [],
  );
  const firstHeading = headings.find((heading) => heading.level === 1)?.title ?? '';
  return {
    title: frontMatter.title ?? (firstHeading === '' ? null : firstHeading),
    pages: [
      { page: null, text, headings, blocks: blocks.map(({ kind, start, end }) => ({ kind, start, end })) },
    ],
  };
}

function isReadable(text: string, block: MarkdownBlock): boolean {
  const isMarkup = block.source === 'html' || ANCHOR.test(text.slice(block.start, block.start + 10));
  if (isMarkup && block.kind === 'paragraph') {
    return hasTextOutsideTags(text.slice(block.start, block.end));
  }
  return block.kind !== 'paragraph' || !isDefinitions(text, block);
}

/** YAML between `---` or TOML between `+++` at the very top. Its title is read, nothing else of it. */
function readFrontMatter(text: string): { end: number; title: string | null } {
  const none = { end: 0, title: null };
  const fence = text.slice(0, 3);
  if (fence !== '---' && fence !== '+++') return none;
  const head = text.slice(0, MAX_FRONT_MATTER);
  let title: string | null = null;
  let isFirst = true;
  for (const { start, end } of linesOf(head)) {
    const line = head.slice(start, end);
    if (isFirst) {
      if (line.trimEnd() !== fence) return none;
      isFirst = false;
      continue;
    }
    if (line.trimEnd() === fence || (fence === '---' && line.trimEnd() === '...')) {
      return { end: Math.min(text.length, end + 1), title };
    }
    title ??= titleOfLine(line);
  }
  return none;
}

function titleOfLine(line: string): string | null {
  const value = /^title[ \t]{0,20}[:=](.*)$/.exec(line)?.[1]?.trim() ?? '';
  const quote = value.charAt(0);
  const isQuoted = value.length > 2 && (quote === '"' || quote === "'") && value.endsWith(quote);
  const title = shortTitle(isQuoted ? value.slice(1, -1) : value);
  return title === '' ? null : title;
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" };

/** A heading's text without its markup. */
export function headingTitle(text: string, block: { start: number; end: number }): string {
  const source = text.slice(block.start, Math.min(block.end, block.start + MAX_HEADING)).trim();
  const isAtx = source.startsWith('#');
  const bare = isAtx
    ? source.replace(/^#{1,6}/, '').replace(/[ \t]#{1,100}$/, '')
    : source.replace(/[\r\n]{1,2}[ \t]{0,100}[=-]{1,2000}$/, '');
  return shortTitle(
    bare
      .replace(/<[/a-z!][^<>]{0,500}>/gi, '')
      .replace(/!?\[([^[\]]{0,500})\](?:\([^()]{0,500}\)|\[[^[\]]{0,200}\])/g, '$1')
      // An escaped character is text, anything else of these is markup.
      .replace(
        /\\([!-/:-@[-`{-~])|`+|\*+|(?<![\p{L}\p{N}])_+|_+(?![\p{L}\p{N}])/gu,
        (_, escaped: string | undefined) => escaped ?? '',
      )
      .replace(/&(amp|lt|gt|quot|#39);/g, (_, name: string) => ENTITIES[name] ?? ''),
  );
}
