type Span = Readonly<{ start: number; end: number }>;

/**
 * Tells whether a stretch of text shares a character with any of these. Asked once for each of many findings: to compare all
 * with all would let a text full of numbers and names take time with the square of its length.
 */
export function overlapWith(spans: readonly Span[]): (start: number, end: number) => boolean {
  const sorted = [...spans].sort((a, b) => a.start - b.start);
  const furthest: number[] = [];
  for (const { end } of sorted) furthest.push(Math.max(end, furthest.at(-1) ?? 0));
  return (start, end) => {
    // How many begin before the end: among those, the one that reaches furthest tells.
    let low = 0;
    let high = sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sorted[middle]?.start ?? 0) < end) low = middle + 1;
      else high = middle;
    }
    return low > 0 && (furthest[low - 1] ?? 0) > start;
  };
}
