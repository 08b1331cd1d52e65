/** A piece of a text by its offsets, `end` excluded. */
export type Span = { start: number; end: number };

/** Cuts a span into smaller ones, in order, that hold all of its text that isn't white space. */
export type Splitter = (text: string, span: Span) => Iterable<Span>;

/** Sentences are looked for in windows, so that a text of one 16 MB line is never handed over whole. */
const SENTENCE_WINDOW = 65_536;
/** How far from the middle a blank is looked for before a word is cut. */
const NEAREST_BLANK = 1_000;
const LIST_MARKER = /[ \t]{0,1000}(?:[-*+•◦▪‣·–]|\d{1,9}[.)])[ \t]/y;

const sentences = new Intl.Segmenter('und', { granularity: 'sentence' });

export const isBlank = (code: number): boolean =>
  (code >= 9 && code <= 13) || code === 32 || code === 0xa0 || code === 0x3000 || code === 0xfeff;

/** The span without white space at its ends, or null when nothing else is in it. */
export function trimSpan(text: string, span: Span): Span | null {
  let { start, end } = span;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return start < end ? { start, end } : null;
}

/** As `trimSpan`, but keeps the first line's indentation, which code needs. */
export function trimCodeSpan(text: string, span: Span): Span | null {
  const trimmed = trimSpan(text, span);
  if (trimmed === null) return null;
  let start = trimmed.start;
  while (start > span.start && text.charCodeAt(start - 1) !== 10) start--;
  return { start, end: trimmed.end };
}

/** Lines, each with its line break. */
export function* splitLines(text: string, span: Span): Generator<Span> {
  for (let start = span.start; start < span.end; ) {
    const newline = text.indexOf('\n', start);
    const end = newline < 0 || newline >= span.end ? span.end : newline + 1;
    yield { start, end };
    start = end;
  }
}

/** Runs of lines between blank lines. */
export function* splitAtBlankLines(text: string, span: Span): Generator<Span> {
  let start = span.start;
  for (const line of splitLines(text, span)) {
    if (line.start > start && trimSpan(text, line) === null) {
      yield { start, end: line.end };
      start = line.end;
    }
  }
  if (start < span.end) yield { start, end: span.end };
}

/** Items of a list, nested ones too; what continues an item stays with it. */
export function* splitItems(text: string, span: Span): Generator<Span> {
  let start = span.start;
  for (const line of splitLines(text, span)) {
    LIST_MARKER.lastIndex = line.start;
    if (line.start > start && LIST_MARKER.test(text)) {
      yield { start, end: line.start };
      start = line.start;
    }
  }
  if (start < span.end) yield { start, end: span.end };
}

/** Sentences by Unicode's rules (UAX 29), where a single line break doesn't end one. */
export function* splitSentences(text: string, span: Span): Generator<Span> {
  for (let start = span.start; start < span.end; ) {
    const windowEnd = Math.min(span.end, start + SENTENCE_WINDOW);
    const window = text.slice(start, windowEnd).replace(/[\r\n]/g, ' ');
    let last: Span | null = null;
    for (const { index, segment } of sentences.segment(window)) {
      if (last !== null) yield last;
      last = { start: start + index, end: start + index + segment.length };
    }
    if (last === null) return;
    // The last sentence may go on after the window: look again from where it starts.
    if (windowEnd === span.end || last.start === start) {
      yield last;
      start = last.end;
    } else {
      start = last.start;
    }
  }
}

/** Two halves, cut at the blank nearest to the middle, otherwise between two characters. Nothing if indivisible. */
export function* splitInHalf(text: string, span: Span): Generator<Span> {
  const cut = nearestBlank(text, span) ?? betweenCharacters(text, span);
  if (cut === null) return;
  yield { start: span.start, end: cut };
  yield { start: cut, end: span.end };
}

function nearestBlank(text: string, { start, end }: Span): number | null {
  const middle = (start + end) >>> 1;
  const reach = Math.min(NEAREST_BLANK, (end - start) >>> 2);
  for (let distance = 0; distance < reach; distance++) {
    if (isBlank(text.charCodeAt(middle - distance))) return middle - distance;
    if (isBlank(text.charCodeAt(middle + distance))) return middle + distance;
  }
  return null;
}

/** Marks (variation selectors too), joiners and low surrogates belong to the character before them. */
const CONTINUES_CHARACTER = /\p{M}|\u200d|[\udc00-\udfff]/u;

function betweenCharacters(text: string, { start, end }: Span): number | null {
  const middle = (start + end) >>> 1;
  for (let cut = middle; cut > start && cut > middle - 32; cut--) {
    if (!CONTINUES_CHARACTER.test(text.charAt(cut)) && text.charAt(cut - 1) !== '\u200d') return cut;
  }
  const isLowSurrogate = (text.charCodeAt(middle) & 0xfc00) === 0xdc00;
  const cut = isLowSurrogate ? middle - 1 : middle;
  if (cut > start) return cut;
  return isLowSurrogate && middle + 1 < end ? middle + 1 : null;
}
