import { checkBlockCount } from '#rag/ingest/parse/block-limit.ts';
import { endsHtmlBlock, type HtmlBlock, readHtmlBlock } from '#rag/ingest/parse/markdown-html.ts';
import {
  closesFence,
  countDelimiterCells,
  type Fence,
  isThematicBreak,
  LineCursor,
  readFence,
  readHeadingLevel,
  readListMarker,
  readUnderlineLevel,
  rowCells,
} from '#rag/ingest/parse/markdown-lines.ts';
import type { ParsedBlockKind } from '#rag/ingest/parse/parsed-document.ts';
import { type Line, linesOf } from '#rag/ingest/parse/text-lines.ts';

/** A block of Markdown. `source` tells raw HTML and what may be link definitions from prose. */
export type MarkdownBlock = {
  kind: ParsedBlockKind;
  start: number;
  end: number;
  /** Of a heading that stands in no list and no quote. */
  level: number;
  source: 'markdown' | 'html';
};

type Container = { type: 'quote' } | { type: 'item'; columns: number; isEmpty: boolean };
type Leaf =
  | { type: 'paragraph'; block: MarkdownBlock; lastLine: number; beforeLastLine: number }
  | { type: 'table'; block: MarkdownBlock }
  | { type: 'fence'; fence: Fence; block: MarkdownBlock }
  | { type: 'indented'; block: MarkdownBlock }
  | { type: 'html'; html: HtmlBlock; block: MarkdownBlock | null };

/** Deeper lists and quotes are read as text: each line costs time by the depth of what is open. */
const MAX_DEPTH = 64;
const CODE_INDENT = 4;

/**
 * The blocks of a Markdown text from an offset on, by CommonMark 0.31's block structure and GFM's tables, in one
 * pass of linear time. Lists and quotes come out flat: their text as one block, their code blocks apart. Inline
 * markup isn't read: the text stays as it is, and offsets point into it.
 */
export function scanMarkdownBlocks(text: string, from: number): MarkdownBlock[] {
  const blocks: MarkdownBlock[] = [];
  let containers: Container[] = [];
  let leaf: Leaf | null = null;
  /** What the outermost container's text goes to; null once something stands between. */
  let outer: { listType: string | null; block: MarkdownBlock | null } | null = null;

  const addBlock = (kind: ParsedBlockKind, line: Line, source: MarkdownBlock['source'] = 'markdown') => {
    const block: MarkdownBlock = { kind, start: line.start, end: line.end, level: 0, source };
    blocks.push(block);
    checkBlockCount(blocks.length);
    return block;
  };

  /** Puts a line of prose where it belongs: to the open list or quote, or to a block of its own. */
  const addText = (kind: ParsedBlockKind, line: Line): MarkdownBlock => {
    if (containers.length === 0) {
      outer = null;
      return addBlock(kind, line);
    }
    outer ??= { listType: null, block: null };
    if (outer.block === null || outer.block !== blocks.at(-1)) {
      outer.block = addBlock(outer.listType === null ? 'paragraph' : 'list', line);
    }
    outer.block.end = line.end;
    return outer.block;
  };

  const openContainer = (container: Container, listType: string | null) => {
    if (containers.length === 0 && (listType === null || outer?.listType !== listType)) {
      outer = { listType, block: null };
    }
    containers.push(container);
  };

  for (const line of linesOf(text)) {
    if (line.start < from) continue;
    const cursor = new LineCursor(text, line);
    const matched = matchContainers(containers, cursor);
    const isAllMatched = matched === containers.length;

    if (isAllMatched && leaf !== null && (leaf.type === 'fence' || leaf.type === 'html')) {
      leaf = continueRaw(leaf, cursor, line);
      continue;
    }
    if (
      isAllMatched &&
      leaf?.type === 'indented' &&
      cursor.indent().columns >= CODE_INDENT &&
      !line.isBlank
    ) {
      leaf.block.end = line.end;
      continue;
    }

    const paragraph: (Leaf & { type: 'paragraph' }) | null = leaf?.type === 'paragraph' ? leaf : null;
    if (cursor.isBlank) {
      if (!isAllMatched) containers = containers.slice(0, matched);
      // Blank lines are part of indented code when more of it follows.
      if (!isAllMatched || leaf?.type !== 'indented') leaf = null;
      continue;
    }

    const closeUnmatched = () => {
      containers = containers.slice(0, matched);
      leaf = null;
    };
    let isFresh = isAllMatched;
    let opened = false;
    let isDone = false;
    while (!isDone) {
      const { columns, at } = cursor.indent();
      const interrupts: boolean = paragraph !== null && isAllMatched && !opened;
      if (columns >= CODE_INDENT) {
        // Within a paragraph this is its next line.
        if (paragraph !== null && !opened) break;
        if (!isFresh) closeUnmatched();
        outerGap();
        leaf = { type: 'indented', block: addBlock('code', line) };
        isDone = true;
        break;
      }
      const marker = text.charAt(at);
      if (marker === '>' && containers.length < MAX_DEPTH) {
        if (!isFresh) closeUnmatched();
        leaf = null;
        isFresh = opened = true;
        openContainer({ type: 'quote' }, null);
        passQuoteMarker(cursor, columns);
        if (cursor.isBlank) isDone = true;
        continue;
      }
      const level = readHeadingLevel(text, at, line.end);
      if (level > 0) {
        if (!isFresh) closeUnmatched();
        const block = addText('heading', line);
        if (containers.length === 0) block.level = level;
        leaf = null;
        isDone = true;
        break;
      }
      const fence = readFence(text, at, line.end);
      if (fence !== null) {
        if (!isFresh) closeUnmatched();
        outerGap();
        leaf = { type: 'fence', fence, block: addBlock('code', line) };
        isDone = true;
        break;
      }
      const html = readHtmlBlock(cursor.rest(at), !(paragraph !== null && !opened));
      if (html !== null) {
        if (!isFresh) closeUnmatched();
        outerGap();
        const block = html.isHidden ? null : addBlock(html.isCode ? 'code' : 'paragraph', line, 'html');
        leaf = endsHtmlBlock(html, cursor.rest(at + 1)) ? null : { type: 'html', html, block };
        isDone = true;
        break;
      }
      const underline = interrupts ? readUnderlineLevel(text, at, line.end) : 0;
      if (underline > 0 && paragraph !== null && !isDefinitions(text, paragraph.block)) {
        paragraph.block.end = line.end;
        if (containers.length === 0) {
          paragraph.block.kind = 'heading';
          paragraph.block.level = underline;
        }
        leaf = null;
        isDone = true;
        break;
      }
      if (isThematicBreak(text, at, line.end)) {
        if (!isFresh) closeUnmatched();
        if (containers.length === 0) outer = null;
        leaf = null;
        isDone = true;
        break;
      }
      const item = readListMarker(text, at, line.end);
      const isItem =
        item !== null && containers.length < MAX_DEPTH && !(interrupts && (item.isBlank || item.start !== 1));
      if (!isItem) break;
      if (!isFresh) closeUnmatched();
      leaf = null;
      isFresh = opened = true;
      cursor.skipColumns(columns);
      cursor.skipCharacters(item.length);
      const padding = cursor.indent().columns;
      const used = item.isBlank || padding > CODE_INDENT ? 1 : padding;
      openContainer(
        { type: 'item', columns: columns + item.length + used, isEmpty: item.isBlank },
        item.type,
      );
      cursor.skipColumns(used);
      if (item.isBlank) {
        addText('list', line);
        isDone = true;
      }
    }
    if (isDone) continue;

    if (paragraph !== null && !opened) {
      // Prose goes on, also where a line leaves the markers of its list or quote out ("lazy continuation").
      leaf = isAllMatched && containers.length === 0 ? startTable(paragraph, line) : paragraph;
      if (leaf === paragraph) {
        paragraph.beforeLastLine = paragraph.block.end;
        paragraph.lastLine = line.start;
        paragraph.block.end = line.end;
      }
    } else if (leaf !== null && leaf.type === 'table' && !opened && isAllMatched) {
      leaf.block.end = line.end;
    } else {
      if (!isFresh) closeUnmatched();
      const block = addText('paragraph', line);
      leaf = {
        type: 'paragraph',
        block,
        lastLine: line.start,
        beforeLastLine: line.start,
      };
    }
  }
  return blocks;

  /** A block of its own kind at the top level ends the list or quote before it. */
  function outerGap(): void {
    if (containers.length === 0) outer = null;
  }

  /** Turns a paragraph's last line into a table's head when the line below it is a delimiter row. */
  function startTable(paragraph: Leaf & { type: 'paragraph' }, line: Line): Leaf {
    const cells = countDelimiterCells(text.slice(line.start, line.end));
    const head = text.slice(paragraph.lastLine, paragraph.block.end);
    if (cells === 0 || rowCells(head).length !== cells) return paragraph;
    if (paragraph.lastLine === paragraph.block.start) {
      paragraph.block.kind = 'table';
      paragraph.block.end = line.end;
      return { type: 'table', block: paragraph.block };
    }
    paragraph.block.end = paragraph.beforeLastLine;
    const block = addBlock('table', { start: paragraph.lastLine, end: line.end, isBlank: false });
    return { type: 'table', block };
  }
}

/** How many of the open lists and quotes a line goes on in. Moves the cursor behind their marks. */
function matchContainers(containers: readonly Container[], cursor: LineCursor): number {
  let matched = 0;
  for (const container of containers) {
    const { columns, at } = cursor.indent();
    const isBlank = at >= cursor.end;
    if (container.type === 'quote') {
      if (columns >= CODE_INDENT || cursor.text.charAt(at) !== '>' || isBlank) break;
      passQuoteMarker(cursor, columns);
    } else if (isBlank) {
      // An item that starts with a blank line ends at a second one.
      if (container.isEmpty) break;
    } else if (columns >= container.columns) {
      cursor.skipColumns(container.columns);
      container.isEmpty = false;
    } else break;
    matched++;
  }
  return matched;
}

function passQuoteMarker(cursor: LineCursor, columns: number): void {
  cursor.skipColumns(columns);
  cursor.skipCharacters(1);
  cursor.skipColumns(1);
}

function continueRaw(leaf: Leaf & { type: 'fence' | 'html' }, cursor: LineCursor, line: Line): Leaf | null {
  if (leaf.type === 'fence') {
    if (!line.isBlank) leaf.block.end = line.end;
    const { columns, at } = cursor.indent();
    return columns < CODE_INDENT && closesFence(leaf.fence, cursor.text, at, line.end) ? null : leaf;
  }
  if (leaf.html.until === null && cursor.isBlank) return null;
  if (leaf.block !== null && !line.isBlank) leaf.block.end = line.end;
  return endsHtmlBlock(leaf.html, cursor.rest()) ? null : leaf;
}

/** Whether a paragraph is nothing but link reference definitions, `[label]: destination`, which nobody reads. */
export function isDefinitions(text: string, block: { start: number; end: number }): boolean {
  if (!text.startsWith('[', block.start + leadingSpaces(text, block.start))) return false;
  return text
    .slice(block.start, block.end)
    .split('\n')
    .every((line) => /^ {0,3}\[[^\]]{1,999}\]:\s*\S/.test(line) || /^\s+["'(]/.test(line));
}

function leadingSpaces(text: string, start: number): number {
  let count = 0;
  while (count < 3 && text.charAt(start + count) === ' ') count++;
  return count;
}
