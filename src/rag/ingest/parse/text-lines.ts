import { checkBlockCount } from '#rag/ingest/parse/block-limit.ts';
import type { ParsedBlock, ParsedBlockKind } from '#rag/ingest/parse/parsed-document.ts';

/** A line by its offsets, without its line break. */
export type Line = { start: number; end: number; isBlank: boolean };

/** The lines of a text, broken at LF, CRLF and CR. */
export function* linesOf(text: string): Generator<Line> {
  let carriageReturn = text.indexOf('\r');
  for (let start = 0; start < text.length; ) {
    const newline = text.indexOf('\n', start);
    let end = newline < 0 ? text.length : newline;
    let next = end + 1;
    if (carriageReturn >= 0 && carriageReturn < start) carriageReturn = text.indexOf('\r', start);
    if (carriageReturn >= 0 && carriageReturn < end) {
      end = carriageReturn;
      next = text.charAt(end + 1) === '\n' ? end + 2 : end + 1;
    }
    yield { start, end, isBlank: isBlankLine(text, start, end) };
    start = next;
  }
}

function isBlankLine(text: string, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (text.charAt(at).trim() !== '') return false;
  return true;
}

/**
 * Blocks of one kind out of lines: a block ends at a blank line, when `continues` says of the first line after
 * the blank ones that it doesn't belong to it.
 */
export function blocksBetweenBlankLines(
  text: string,
  kind: ParsedBlockKind,
  continues: (line: Line) => boolean = () => false,
): ParsedBlock[] {
  const blocks: ParsedBlock[] = [];
  let current: ParsedBlock | null = null;
  let afterBlank = false;
  for (const line of linesOf(text)) {
    if (line.isBlank) {
      afterBlank = true;
      continue;
    }
    if (current === null || (afterBlank && !continues(line))) {
      current = { kind, start: line.start, end: line.end };
      blocks.push(current);
      checkBlockCount(blocks.length);
    }
    current.end = line.end;
    afterBlank = false;
  }
  return blocks;
}
