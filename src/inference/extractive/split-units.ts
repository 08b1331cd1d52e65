/** What an answer can quote: never less than one of these. */
export type UnitKind = 'sentence' | 'item' | 'row' | 'code';

/** A quotable piece of a passage. `text` is the passage's own, less line breaks and block marks (`>`, `-`, `#`). */
export type Unit = {
  kind: UnitKind;
  text: string;
  /** The nearest heading above it within the passage, or ''. */
  heading: string;
  /** Units of one block (a paragraph, a list, a table) share this number; it counts up in reading order. */
  block: number;
  /** The head of the table that a row belongs to, with its delimiter line; '' where the passage cut it off. */
  tableHead: string;
};

const QUOTE_MARKS = /^\s*(?:>\s?)+/;
const FENCE = /^\s*(`{3,}|~{3,})\s*([^`]*)$/;
const HEADING = /^ {0,3}#{1,6}\s+(.*?)\s*#*$/;
const UNDERLINE = /^ {0,3}(?:=+|-{2,})\s*$/;
const ITEM = /^\s*(?:[-*+•‣–]|\d{1,3}[.)])\s+(?=\S)/;
const ROW = /^\s*\|.*\|\s*$/;
const DELIMITER_ROW = /^\s*\|(?:\s*:?-+:?\s*\|)+\s*$/;
/** A line that is markup alone: a comment, an anchor, a rule, a link definition, a table's edge. */
const NOISE =
  /^\s*(?:<!--.*-->|(?:<\/?[a-z][^>]*>\s*)+|[-*_=~\s]{3,}|\[[^\]]+\]:\s\S+.*|!\[[^\]]*\]\([^)]*\))\s*$/i;
/** A heading in HTML, as at the top of many Markdown files. */
const HTML_HEADING = /^\s*<h[1-6][^>]*>(.*)<\/h[1-6]>\s*$/i;

/**
 * Splits a passage into what may be quoted. Code blocks stay whole, and one that the passage's border cut is left
 * out. List items stay whole unless they are long. Works on Markdown and on plain text.
 */
export function splitUnits(passage: string): Unit[] {
  const units: Unit[] = [];
  const written = dropComments(passage).split(/\r?\n/);
  const lines = written.map((line) => line.replace(QUOTE_MARKS, ''));
  const fences = closedFences(lines);
  let heading = '';
  let block = 0;
  let paragraph: string[] = [];
  let kind: 'sentence' | 'item' = 'sentence';
  let inList = false;
  let tableHead = '';

  const add = (unitKind: UnitKind, text: string, head = ''): void => {
    if (/[\p{L}\p{N}]/u.test(text)) units.push({ kind: unitKind, text, heading, block, tableHead: head });
  };
  const flush = (): void => {
    if (paragraph.length === 0) return;
    const whole = joinLines(paragraph);
    if (kind === 'item' && whole.length <= LONGEST_ITEM) add('item', whole);
    else for (const text of splitSentences(whole, paragraph)) add('sentence', text);
    paragraph = [];
    kind = 'sentence';
  };

  for (let i = fences.start; i < lines.length; i++) {
    const line = lines[i] ?? '';
    const end = fences.blocks.get(i);
    if (end !== undefined) {
      flush();
      block++;
      // A `>` inside of code is code, unless the whole block is quoted.
      const code = QUOTE_MARKS.test(written[i] ?? '') ? lines : written;
      if (end < lines.length) add('code', code.slice(i, end + 1).join('\n'));
      i = end;
      tableHead = '';
      continue;
    }
    const title = HEADING.exec(line)?.[1] ?? HTML_HEADING.exec(line)?.[1];
    if (title !== undefined) {
      flush();
      block++;
      heading = plain(title);
      inList = false;
      tableHead = '';
    } else if (UNDERLINE.test(line) && paragraph.length === 1 && kind === 'sentence') {
      heading = plain(paragraph[0] ?? '');
      paragraph = [];
      block++;
    } else if (line.trim() === '' || NOISE.test(line)) {
      flush();
      if (!nextIsItem(lines, i) || !inList) block++;
      tableHead = '';
    } else if (ROW.test(line)) {
      flush();
      if (DELIMITER_ROW.test(line)) continue;
      if (DELIMITER_ROW.test(lines[i + 1] ?? '')) {
        block++;
        tableHead = `${line.trim()}\n${(lines[i + 1] ?? '').trim()}`;
      } else add('row', line.trim(), tableHead);
    } else if (ITEM.test(line)) {
      flush();
      if (!inList) block++;
      inList = true;
      kind = 'item';
      paragraph = [line.replace(ITEM, '')];
    } else {
      // A line at the margin after an empty one ends a list; an indented one goes on with it.
      if (inList && paragraph.length === 0 && !/^\s/.test(line)) {
        inList = false;
        block++;
      }
      paragraph.push(line);
    }
  }
  flush();
  return units;
}

const LONGEST_ITEM = 500;

/** Where each fence line's block ends; `lines.length` for one that never does. A tail of code at the start is skipped. */
function closedFences(lines: readonly string[]): { start: number; blocks: Map<number, number> } {
  const marks = lines.flatMap((line, i) => {
    const match = FENCE.exec(line);
    return match === null ? [] : [{ line: i, mark: match[1] ?? '', info: (match[2] ?? '').trim() }];
  });
  // An odd number of fences: the passage was cut inside a block. When the first fence could close one and the
  // last does not plainly open one, the cut is at the start, and all before that fence is code.
  const cutAtStart = marks.length % 2 === 1 && marks[0]?.info === '' && marks.at(-1)?.info === '';
  const start = cutAtStart ? (marks[0]?.line ?? 0) + 1 : 0;
  const blocks = new Map<number, number>();
  for (let i = cutAtStart ? 1 : 0; i < marks.length; i++) {
    const open = marks[i];
    if (open === undefined) break;
    const close = marks.findIndex(
      ({ mark, info }, j) =>
        j > i && info === '' && mark[0] === open.mark[0] && mark.length >= open.mark.length,
    );
    blocks.set(open.line, marks[close]?.line ?? lines.length);
    if (close === -1) break;
    i = close;
  }
  return { start, blocks };
}

const dropComments = (text: string): string => text.replace(/<!--.*?(?:-->|$)/gs, '');

const nextIsItem = (lines: readonly string[], from: number): boolean => {
  const next = lines.slice(from + 1).find((line) => line.trim() !== '');
  return next !== undefined && (ITEM.test(next) || /^\s{2,}/.test(next));
};

const joinLines = (lines: readonly string[]): string =>
  lines
    .map((line) => line.trim())
    .join(' ')
    .replace(/\s+/g, ' ')
    .trim();

const plain = (markup: string): string =>
  markup
    .replace(/<[^>]*>/g, '')
    .replace(/[`*_]/g, '')
    .trim();

/** Full stops that end no sentence. */
const ABBREVIATION =
  /(?:\b(?:e\.g|i\.e|etc|vs|cf|approx|resp|no|nos|fig|figs|eq|sec|ch|vol|pp|ed|eds|al|mr|mrs|ms|dr|prof|st|jr|sr|inc|ltd|co|corp|dept|est|jan|feb|mar|apr|jun|jul|aug|sep|sept|oct|nov|dec)|\b\p{L}|^\d{1,3})\.$/iu;
const BOUNDARY = /[.!?…]+["'”’)\]*_]*\s+(?=["'“‘([*_`<]*[\p{Lu}\p{N}`])|[。！？]+[」』”]?\s*/gu;
const LONGEST_SENTENCE = 600;

/** Sentences of a paragraph; code spans and link targets are never cut. Text without any full stop goes by its lines. */
function splitSentences(text: string, lines: readonly string[]): string[] {
  const masked = text
    .replace(/`[^`]*`/g, (span) => '`'.padEnd(span.length - 1, 'x').concat('`'))
    .replace(/\]\([^)\s]*\)/g, (target) => `](${'x'.repeat(target.length - 3)})`);
  const sentences: string[] = [];
  let start = 0;
  for (const match of masked.matchAll(BOUNDARY)) {
    const end = match.index + match[0].length;
    const sentence = text.slice(start, end).trim();
    if (ABBREVIATION.test(sentence.replace(/["'”’)\]*_]+$/, ''))) continue;
    sentences.push(sentence);
    start = end;
  }
  sentences.push(text.slice(start).trim());
  return sentences.flatMap((sentence) => {
    if (sentence.length <= LONGEST_SENTENCE) return sentence === '' ? [] : [sentence];
    return sentences.length === 1 ? lines.map((line) => joinLines([line])) : [sentence];
  });
}
