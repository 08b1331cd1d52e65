import { type PiiTagger, tagEntities } from '#router/guardrails/detectors/pii/tagger/pii-tagger.ts';
import type { LabelledSpans } from './make-text.ts';

/** F1 by kind, a span right where kind and both ends are; kinds that nobody marked are not judged. */
export function judge(tagger: PiiTagger, texts: readonly LabelledSpans[]): Record<string, number> {
  const counts = new Map<string, { found: number; expected: number; right: number }>();
  const of = (kind: string) => {
    const count = counts.get(kind) ?? { found: 0, expected: 0, right: 0 };
    counts.set(kind, count);
    return count;
  };
  const key = ({ kind, start, end }: { kind: string; start: number; end: number }) =>
    `${kind} ${start} ${end}`;
  for (const { text, spans, looked_for: lookedFor } of texts) {
    const wanted = new Set(spans.map(key));
    for (const { kind } of spans) for (const name of [kind, 'all']) of(name).expected++;
    for (const entity of tagEntities(tagger, text)) {
      if (lookedFor !== 'all' && !lookedFor.has(entity.kind)) continue;
      for (const name of [entity.kind, 'all']) {
        of(name).found++;
        if (wanted.has(key(entity))) of(name).right++;
      }
    }
  }
  return Object.fromEntries(
    [...counts].map(([kind, { found, expected, right }]) => [
      kind,
      Math.round((2_000 * right) / Math.max(1, found + expected)) / 1_000,
    ]),
  );
}

const ALARMS: ReadonlySet<string> = new Set(['person', 'address', 'license', 'age', 'title']);

/** What is found in texts that hold nothing of the kind, in 1,000 words. */
export function falseAlarms(
  tagger: PiiTagger,
  texts: readonly (string | LabelledSpans)[],
): Record<string, number> {
  const counts = new Map<string, number>();
  let words = 0;
  for (const each of texts) {
    const text = typeof each === 'string' ? each : each.text;
    words += text.split(/\s+/).length;
    for (const { kind } of tagEntities(tagger, text))
      if (ALARMS.has(kind)) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return Object.fromEntries(
    [...counts].map(([kind, count]) => [kind, Math.round((100_000 * count) / Math.max(1, words)) / 100]),
  );
}

/** What was missed, and what was found instead, in words: to see what is to be taught. */
export function mistakesIn(tagger: PiiTagger, texts: readonly LabelledSpans[]): string[] {
  return texts.flatMap(({ text, spans }) => {
    const say = ({ kind, start, end }: { kind: string; start: number; end: number }) =>
      `${kind} "${text.slice(start, end)}"`;
    const expected = spans.map(say);
    const found = tagEntities(tagger, text).map(say);
    const missed = expected.filter((line) => !found.includes(line));
    const wrong = found.filter((line) => !expected.includes(line));
    if (missed.length + wrong.length === 0) return [];
    return [JSON.stringify({ text, missed, wrong })];
  });
}
