export type Span = { group: string; start: number; end: number };
export type Count = { found: number; expected: number; right: number };

/** Nothing between but blanks, commas and the marks that a line of quoted mail begins with. */
export const TOUCHING = /^[\s,]*(?:\n[^\p{L}\p{N}]*)?$/u;
/** Nothing between but blanks and commas. */
export const IN_A_LINE = /^[\s,]*$/;

/** Spans of one group that touch, as one. */
export function joined(text: string, spans: readonly Span[], touching: RegExp): Span[] {
  const result: Span[] = [];
  for (const span of [...spans].sort((a, b) => a.start - b.start || b.end - a.end)) {
    const last = result.findLast(({ group }) => group === span.group);
    if (last !== undefined && touching.test(text.slice(last.end, span.start)))
      last.end = Math.max(last.end, span.end);
    else result.push({ ...span });
  }
  return result;
}

/** Counts spans of each group: one is found where another of its group covers it by half (intersection over union). */
export function tally(counts: Map<string, Count>, truth: readonly Span[], found: readonly Span[]): void {
  const of = (group: string): Count => {
    const count = counts.get(group) ?? { found: 0, expected: 0, right: 0 };
    counts.set(group, count);
    return count;
  };
  const taken = new Set<Span>();
  for (const span of truth) {
    of(span.group).expected++;
    const match = found.find(
      (other) => !taken.has(other) && other.group === span.group && overlap(span, other) >= 0.5,
    );
    if (match === undefined) continue;
    taken.add(match);
    of(span.group).right++;
  }
  for (const span of found) of(span.group).found++;
}

/** Counts characters, of whatever group. */
export function tallyCharacters(
  count: Count,
  truth: readonly Span[],
  found: readonly Span[],
  length: number,
): void {
  const cover = (spans: readonly Span[]) => {
    const covered = new Uint8Array(length);
    for (const { start, end } of spans) covered.fill(1, start, end);
    return covered;
  };
  const [wanted, given] = [cover(truth), cover(found)];
  for (let index = 0; index < length; index++) {
    count.expected += wanted[index] ?? 0;
    count.found += given[index] ?? 0;
    count.right += (wanted[index] ?? 0) & (given[index] ?? 0);
  }
}

const overlap = (a: Span, b: Span): number =>
  Math.max(0, Math.min(a.end, b.end) - Math.max(a.start, b.start)) /
  (Math.max(a.end, b.end) - Math.min(a.start, b.start));

export const sum = (counts: readonly Count[]): Count =>
  counts.reduce(
    (all, { found, expected, right }) => ({
      found: all.found + found,
      expected: all.expected + expected,
      right: all.right + right,
    }),
    { found: 0, expected: 0, right: 0 },
  );

/** Precision, recall and their harmonic mean. */
export function scored({ found, expected, right }: Count) {
  const three = (value: number) => Math.round(1_000 * value) / 1_000;
  return {
    expected,
    precision: three(right / Math.max(1, found)),
    recall: three(right / Math.max(1, expected)),
    f1: three((2 * right) / Math.max(1, found + expected)),
  };
}
