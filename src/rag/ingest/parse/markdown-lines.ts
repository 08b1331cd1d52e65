import type { Line } from '#rag/ingest/parse/text-lines.ts';

/** The tests that tell Markdown's blocks apart, each on one line. Section numbers are of CommonMark 0.31. */

/** Columns that a tab stop is wide. */
const TAB = 4;

/** A line with a reading position in it. Moves over indentation and container markers. */
export class LineCursor {
  readonly text: string;
  readonly end: number;
  at: number;
  column = 0;
  /** Where the next character is that isn't white space; behind `at` when that isn't known yet. */
  private textAt = -1;
  private textColumn = 0;

  constructor(text: string, line: Line) {
    this.text = text;
    this.at = line.start;
    this.end = line.end;
  }

  /** Columns of white space from here, and where they end. Looked up once for each run of white space. */
  indent(): { columns: number; at: number } {
    if (this.at > this.textAt) {
      this.textAt = this.at;
      this.textColumn = this.column;
      for (; this.textAt < this.end; this.textAt++) {
        const code = this.text.charCodeAt(this.textAt);
        if (code === 32) this.textColumn++;
        else if (code === 9) this.textColumn += TAB - (this.textColumn % TAB);
        else break;
      }
    }
    return { columns: this.textColumn - this.column, at: this.textAt };
  }

  get isBlank(): boolean {
    return this.indent().at >= this.end;
  }

  /** Moves over at most so many columns of white space. A tab that is wider counts as passed. */
  skipColumns(columns: number): void {
    const goal = this.column + columns;
    while (this.column < goal && this.at < this.end) {
      const code = this.text.charCodeAt(this.at);
      if (code === 32) this.column++;
      else if (code === 9) this.column += TAB - (this.column % TAB);
      else return;
      this.at++;
    }
  }

  skipCharacters(count: number): void {
    this.at += count;
    this.column += count;
  }

  rest(from: number = this.at): string {
    return this.text.slice(from, this.end);
  }
}

/** A fenced code block's opening (section 4.5). */
export type Fence = { marker: '`' | '~'; length: number };

export function readFence(text: string, at: number, end: number): Fence | null {
  const marker = text.charAt(at);
  if (marker !== '`' && marker !== '~') return null;
  const length = runLength(text, at, end, marker);
  if (length < 3) return null;
  // A backtick in the info string would make inline code of it.
  if (marker === '`' && text.slice(at + length, end).includes('`')) return null;
  return { marker, length };
}

export function closesFence(fence: Fence, text: string, at: number, end: number): boolean {
  const length = runLength(text, at, end, fence.marker);
  return length >= fence.length && isBlankFrom(text, at + length, end);
}

/** Level of an ATX heading (section 4.2), or 0. */
export function readHeadingLevel(text: string, at: number, end: number): number {
  const level = runLength(text, at, end, '#');
  if (level < 1 || level > 6) return 0;
  const after = at + level;
  return after >= end || text.charAt(after) === ' ' || text.charAt(after) === '\t' ? level : 0;
}

/** Level that a setext underline (section 4.3) gives to the paragraph above it, or 0. */
export function readUnderlineLevel(text: string, at: number, end: number): number {
  const marker = text.charAt(at);
  if (marker !== '=' && marker !== '-') return 0;
  if (!isBlankFrom(text, at + runLength(text, at, end, marker), end)) return 0;
  return marker === '=' ? 1 : 2;
}

/** Three or more of one of `*-_`, with nothing but white space between (section 4.1). */
export function isThematicBreak(text: string, at: number, end: number): boolean {
  const marker = text.charAt(at);
  if (marker !== '*' && marker !== '-' && marker !== '_') return false;
  let count = 0;
  for (let position = at; position < end; position++) {
    const character = text.charAt(position);
    if (character === marker) count++;
    else if (character !== ' ' && character !== '\t') return false;
  }
  return count >= 3;
}

/** A list item's marker (section 5.2). `type` tells lists apart: the bullet, or the delimiter of a number. */
export type ListMarker = { type: string; length: number; isBlank: boolean; start: number };

export function readListMarker(text: string, at: number, end: number): ListMarker | null {
  const first = text.charAt(at);
  let length = 0;
  let type = first;
  let start = 1;
  if (first === '-' || first === '*' || first === '+') length = 1;
  else {
    while (length < 9 && isDigit(text.charCodeAt(at + length)) && at + length < end) length++;
    type = text.charAt(at + length);
    if (length === 0 || (type !== '.' && type !== ')')) return null;
    start = Number(text.slice(at, at + length));
    length++;
  }
  const after = at + length;
  if (after < end && text.charAt(after) !== ' ' && text.charAt(after) !== '\t') return null;
  return { type, length, isBlank: isBlankFrom(text, after, end), start };
}

/** Cells of a table's row by GFM's rules, or 0 when the line isn't `| --- | :-: |`. */
export function countDelimiterCells(line: string): number {
  if (!/^[\s|:-]+$/.test(line) || !line.includes('-') || !/[|:]/.test(line)) return 0;
  const cells = rowCells(line);
  return cells.every((cell) => /^\s*:?-+:?\s*$/.test(cell)) ? cells.length : 0;
}

/** Cells of a table's row: what stands between pipes that aren't escaped. */
export function rowCells(line: string): string[] {
  const trimmed = line.trim();
  const cells: string[] = [];
  let start = trimmed.startsWith('|') ? 1 : 0;
  for (let at = start; at < trimmed.length; at++) {
    if (trimmed.charAt(at) === '\\') at++;
    else if (trimmed.charAt(at) === '|') {
      cells.push(trimmed.slice(start, at));
      start = at + 1;
    }
  }
  if (start < trimmed.length) cells.push(trimmed.slice(start));
  return cells;
}

export function isBlankFrom(text: string, at: number, end: number): boolean {
  let position = at;
  while (position < end && (text.charCodeAt(position) === 32 || text.charCodeAt(position) === 9)) position++;
  return position >= end;
}

const isDigit = (code: number): boolean => code >= 48 && code <= 57;

function runLength(text: string, at: number, end: number, character: string): number {
  let length = 0;
  while (at + length < end && text.charAt(at + length) === character) length++;
  return length;
}
