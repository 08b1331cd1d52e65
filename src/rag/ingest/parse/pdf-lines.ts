/** A run of text as pdf.js reports it. `transform` is the text matrix: the last two numbers are the position. */
export type PdfTextItem = {
  str: string;
  transform: readonly unknown[];
  width: number;
  height: number;
  hasEOL: boolean;
  fontName: string;
};

/** One printed line. Lengths are in points, `y` grows upwards. */
export type PdfLine = {
  text: string;
  x: number;
  right: number;
  y: number;
  size: number;
  /** Set in a font of equal widths, as code is. */
  isMonospaced: boolean;
};

/** A gap of this share of the font size is a blank, where the PDF has none. */
const WORD_GAP = 0.25;
/** Text that is moved by less than this share of its size is on the same line: super- and subscripts. */
const SAME_LINE = 0.5;

/** Puts runs of text together into lines, in the order in which the PDF draws them. */
export function linesOfPage(
  items: Iterable<PdfTextItem>,
  isMonospaced: (fontName: string) => boolean = () => false,
): PdfLine[] {
  const lines: PdfLine[] = [];
  let parts: string[] = [];
  let line: Omit<PdfLine, 'text'> | null = null;
  let sizedLength = 0;

  const close = () => {
    const text = parts.join('').replace(/\s+/g, ' ').trim();
    if (line !== null && text !== '') lines.push({ ...line, text });
    parts = [];
    line = null;
    sizedLength = 0;
  };

  for (const item of items) {
    const x = finite(item.transform[4]);
    const y = finite(item.transform[5]);
    const size = finite(item.height);
    if (item.str !== '') {
      if (line !== null && Math.abs(y - line.y) > SAME_LINE * Math.max(size, line.size, 1)) close();
      if (line === null) line = { x, right: x, y, size, isMonospaced: false };
      const gap = x - line.right;
      if (parts.length > 0 && gap > WORD_GAP * Math.max(size, line.size, 1)) parts.push(' ');
      parts.push(item.str);
      line.right = Math.max(line.right, x + finite(item.width));
      // The size of most of its text is the line's.
      if (item.str.trim().length > sizedLength) {
        sizedLength = item.str.trim().length;
        line.size = size;
        line.y = y;
        line.isMonospaced = isMonospaced(item.fontName);
      }
    }
    if (item.hasEOL) close();
  }
  close();
  return lines;
}

const finite = (value: unknown): number => (typeof value === 'number' && Number.isFinite(value) ? value : 0);

/** On so many pages, and such a share of them, a first or last line is a running head and not text. */
const MIN_PAGES = 3;
const MIN_SHARE = 0.05;

/**
 * Takes out running heads and page numbers: a page's first or last line, when it is the same but for its digits
 * on several pages. Rows of numbers stay.
 */
export function dropRunningLines(pages: readonly PdfLine[][]): PdfLine[][] {
  const enough = Math.max(MIN_PAGES, pages.length * MIN_SHARE);
  const [heads, feet] = ([0, -1] as const).map((edge) => {
    const counts = new Map<string, number>();
    for (const lines of pages) {
      const line = lines.length > 1 ? lines.at(edge) : undefined;
      if (line !== undefined) counts.set(shape(line), (counts.get(shape(line)) ?? 0) + 1);
    }
    return new Set(
      [...counts].filter(([text, count]) => count >= enough && isRunning(text)).map(([text]) => text),
    );
  });
  const rest = pages.map((lines) => {
    const first = lines[0];
    const last = lines.at(-1);
    if (lines.length < 2 || first === undefined || last === undefined) return lines;
    return lines.slice(
      heads?.has(shape(first)) === true ? 1 : 0,
      feet?.has(shape(last)) === true ? -1 : undefined,
    );
  });
  // A document of nothing but such lines has no others to be read for.
  return rest.every((lines) => lines.length === 0) ? [...pages] : rest;
}

/** Words, or nothing but a page number: `7`, `- 7 -`, `7 / 20`. */
const isRunning = (text: string): boolean =>
  /\p{L}/u.test(text) || /^[-–—|\s]*#(?:\s?[/|]\s?#)?[-–—|\s]*$/.test(text);

const shape = (line: PdfLine): string => line.text.replace(/\d+/g, '#').slice(0, 200);
