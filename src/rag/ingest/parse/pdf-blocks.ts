import { createPageBuilder } from '#rag/ingest/parse/page-builder.ts';
import type { ParsedPage } from '#rag/ingest/parse/parsed-document.ts';
import type { PdfLine } from '#rag/ingest/parse/pdf-lines.ts';

/** Larger than the body by this much is a heading. */
const HEADING_SIZE = 1.15;
const MAX_HEADING = 200;
const MAX_LEVELS = 6;
/** A step to the next line above this many font sizes starts a new paragraph. */
const PARAGRAPH_STEP = 1.7;
/** Code goes on over a blank line or two. */
const CODE_STEP = 4;
/** Width of a character in a font of equal widths, in font sizes. */
const MONOSPACED_WIDTH = 0.6;
const MAX_CODE_INDENT = 80;
/** A line that ends this much before the widest one ends its paragraph, when its sentence ends too. */
const SHORT_LINE = 0.85;
const LIST_ITEM = /^(?:[•◦▪‣●○■–*-]|\(?(?:\d{1,3}|[a-z])[.)])\s/;

/** The font sizes of a document: what most text has, and those of headings, largest first. */
export type PdfSizes = { body: number; headings: readonly number[] };

const rounded = (size: number): number => Math.round(size * 2) / 2;

/** Finds the sizes of body and headings by how much text is set in each. */
export function measureSizes(pages: readonly PdfLine[][]): PdfSizes {
  const lengths = new Map<number, number>();
  for (const line of pages.flat()) {
    lengths.set(rounded(line.size), (lengths.get(rounded(line.size)) ?? 0) + line.text.length);
  }
  let body = 0;
  let most = 0;
  for (const [size, length] of lengths) if (length > most) [body, most] = [size, length];
  const headings = [...lengths.keys()].filter((size) => size >= body * HEADING_SIZE).sort((a, b) => b - a);
  return { body, headings };
}

/** Joins lines into paragraphs, list items and headings. */
export function buildPdfPage(page: number, lines: readonly PdfLine[], sizes: PdfSizes): ParsedPage {
  const builder = createPageBuilder(page);
  const widest = lines.reduce((right, line) => Math.max(right, line.right), 0);
  let items: string[] = [];
  const flushList = () => {
    builder.block('list', items.join('\n'));
    items = [];
  };
  for (const paragraph of paragraphsOf(lines, widest)) {
    const first = paragraph[0];
    if (first?.isMonospaced === true) {
      flushList();
      builder.block('code', joinCode(paragraph));
      continue;
    }
    const text = joinLines(paragraph);
    const level = sizes.headings.indexOf(rounded(first?.size ?? 0)) + 1;
    if (LIST_ITEM.test(text)) {
      items.push(text);
      continue;
    }
    flushList();
    if (level > 0 && text.length <= MAX_HEADING && /\p{L}/u.test(text)) {
      builder.heading(Math.min(level, MAX_LEVELS), text);
    } else builder.block('paragraph', text);
  }
  flushList();
  return builder.build();
}

function paragraphsOf(lines: readonly PdfLine[], widest: number): PdfLine[][] {
  const paragraphs: PdfLine[][] = [];
  let previous: PdfLine | undefined;
  for (const line of lines) {
    const current = paragraphs.at(-1);
    if (previous === undefined || current === undefined || startsParagraph(previous, line, widest)) {
      paragraphs.push([line]);
    } else current.push(line);
    previous = line;
  }
  return paragraphs;
}

function startsParagraph(previous: PdfLine, line: PdfLine, widest: number): boolean {
  const size = Math.max(previous.size, line.size, 1);
  const step = previous.y - line.y;
  if (previous.isMonospaced !== line.isMonospaced) return true;
  // Code keeps its blank lines and has no hanging marks.
  if (line.isMonospaced) return step > size * CODE_STEP;
  // A step upwards is the next column, where a sentence goes on.
  if (step > size * PARAGRAPH_STEP) return true;
  if (Math.abs(previous.size - line.size) > size * 0.1) return true;
  if (LIST_ITEM.test(line.text)) return true;
  return previous.right < widest * SHORT_LINE && /[.!?:]["”’)]?$/.test(previous.text);
}

/** Lines of code with the indentation that they are printed with. */
function joinCode(lines: readonly PdfLine[]): string {
  const left = lines.reduce((least, line) => Math.min(least, line.x), Number.POSITIVE_INFINITY);
  return lines
    .map((line) => {
      const columns = Math.round((line.x - left) / (Math.max(line.size, 1) * MONOSPACED_WIDTH));
      return ' '.repeat(Math.min(columns, MAX_CODE_INDENT)) + line.text;
    })
    .join('\n');
}

/** One line out of several; a word that was hyphenated at a line's end is put together again. */
export function joinLines(lines: readonly PdfLine[]): string {
  const parts: string[] = [];
  let last = '';
  for (const { text } of lines) {
    const isSoft = last.endsWith('\u00ad');
    const isHyphenated = isSoft || (/\p{L}[-\u2010]$/u.test(last.slice(-3)) && /^\p{Ll}/u.test(text));
    if (isHyphenated) parts[parts.length - 1] = last.slice(0, -1);
    else if (parts.length > 0) parts.push(' ');
    parts.push(text);
    last = text;
  }
  return parts.join('').replaceAll('\u00ad', '');
}
