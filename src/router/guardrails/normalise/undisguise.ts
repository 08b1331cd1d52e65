import { atOnce } from '#app/in-slices.ts';
import { excessMarks } from '#app/stream-safe.ts';
import {
  composeMaps,
  type MappedText,
  MappedTextBuilder,
  type Span,
} from '#router/guardrails/normalise/text-view.ts';

/** Anything but printable ASCII, tab and line ends. */
const UNUSUAL = /[^\t\n\r\x20-\x7e]/;

/** Characters that show nothing: joiners, zero-width spaces, bidi controls, selectors, tags, control codes. */
const INVISIBLE = /[[\p{Default_Ignorable_Code_Point}\p{Cc}]--[\t\n\v\f\r\x85]]+/gv;
const LINE_END = /[\v\f\x85\u2028\u2029]/g;

/** Marks of one cluster: {@link excessMarks} leaves no more, other than where one cluster's begin after another's. */
const MAX_MARKS = 32;
/** ASCII runs, Hangul syllables in letters, then a character with its marks: what NFKC may compose. */
const CLUSTER = new RegExp(
  `[\\t\\n\\r\\x20-\\x7e]+(?!\\p{M})|[\\uac00-\\ud7a3][\\u11a8-\\u11ff]?|[\\u1100-\\u115f][\\u1160-\\u11a7]?[\\u11a8-\\u11ff]?|.\\p{M}{0,${MAX_MARKS}}`,
  'gsu',
);

/** NFKC without invisible characters, with line ends unified to `\n`. The map leads back to the text as it came. */
export const undisguise = (text: string): MappedText => atOnce(undisguiseInSteps(text));

/** As {@link undisguise}, with breaks in a long text. */
export function* undisguiseInSteps(text: string): Generator<void, MappedText> {
  if (!UNUSUAL.test(text)) return { text, map: null };
  const visible = withoutInvisible(text.replace(LINE_END, '\n'));
  const bounded = without(visible.text, excessMarks(visible.text));
  const composed = yield* composeClusters(bounded.text);
  return {
    text: composed.text,
    map: composeMaps(composeMaps(visible.map, bounded.map), composed.map),
  };
}

function withoutInvisible(text: string): MappedText {
  const invisible: Span[] = [];
  for (const match of text.matchAll(INVISIBLE)) {
    invisible.push({ start: match.index, end: match.index + match[0].length });
  }
  return without(text, invisible);
}

function without(text: string, spans: readonly Span[]): MappedText {
  if (spans.length === 0) return { text, map: null };
  const builder = new MappedTextBuilder(text.length);
  let at = 0;
  for (const { start, end } of spans) {
    builder.copy(text.slice(at, start), at);
    at = end;
  }
  builder.copy(text.slice(at), at);
  return builder.build();
}

/** Clusters of a step: a millisecond at most. */
const CLUSTERS_A_STEP = 2_048;

function* composeClusters(text: string): Generator<void, MappedText> {
  if (text === text.normalize('NFKC')) return { text, map: null };
  const builder = new MappedTextBuilder(text.length);
  let clusters = 0;
  for (const match of text.matchAll(CLUSTER)) {
    clusters += 1;
    if (clusters % CLUSTERS_A_STEP === 0) yield;
    const [cluster] = match;
    const composed = cluster.normalize('NFKC');
    if (composed === cluster) builder.copy(cluster, match.index);
    else builder.replace(composed, match.index, match.index + cluster.length);
  }
  return builder.build();
}
