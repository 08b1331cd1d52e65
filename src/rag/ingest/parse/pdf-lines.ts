/** A run of text as pdf.js reports it. `transform` is the text matrix: the last two numbers are the position. */
export type PdfTextItem = {
  str: string;
  transform: readonly unknown[];
  width: number;
  height: number;
  hasEOL: boolean;
};

/** One printed line. Lengths are in points, `y` grows upwards. */
export type PdfLine = { text: string; x: number; right: number; y: number; size: number };

/** A gap of this share of the font size is a blank, where the PDF has none. */
const WORD_GAP = 0.25;
/** Text that is moved by less than this share of its size is on the same line: super- and subscripts. */
const SAME_LINE = 0.5;

/** Puts runs of text together into lines, in the order in which the PDF draws them. */
export function linesOfPage(items: Iterable<PdfTextItem>): PdfLine[] {
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
      if (line === null) line = { x, right: x, y, size };
      const gap = x - line.right;
      if (parts.length > 0 && gap > WORD_GAP * Math.max(size, line.size, 1)) parts.push(' ');
      parts.push(item.str);
      line.right = Math.max(line.right, x + finite(item.width));
      // The size of most of its text is the line's.
      if (item.str.trim().length > sizedLength) {
        sizedLength = item.str.trim().length;
        line.size = size;
        line.y = y;
      }
    }
    if (item.hasEOL) close();
  }
  close();
  return lines;
}

const finite = (value: unknown): number => (typeof value === 'number' && Number.isFinite(value) ? value : 0);

/** How many pages a document must have before lines are found to repeat on them. */
const MIN_PAGES = 4;

/**
 * Takes out running heads and page numbers: a page's first or last line, when it is the same but for its digits
 * on most pages.
 */
export function dropRunningLines(pages: readonly PdfLine[][]): PdfLine[][] {
  if (pages.length < MIN_PAGES) return [...pages];
  const edges = [0, -1] as const;
  const repeated = edges.map((edge) => {
    const counts = new Map<string, number>();
    for (const lines of pages) {
      const line = lines.at(edge);
      if (line !== undefined && lines.length > 1) counts.set(shape(line), (counts.get(shape(line)) ?? 0) + 1);
    }
    return new Set([...counts].filter(([, count]) => count > pages.length * 0.6).map(([text]) => text));
  });
  return pages.map((lines) => {
    const first = lines[0];
    const last = lines.at(-1);
    if (lines.length < 2 || first === undefined || last === undefined) return lines;
    return lines.slice(
      repeated[0]?.has(shape(first)) === true ? 1 : 0,
      repeated[1]?.has(shape(last)) === true ? -1 : undefined,
    );
  });
}

const shape = (line: PdfLine): string => line.text.replace(/\d+/g, '#').slice(0, 200);
