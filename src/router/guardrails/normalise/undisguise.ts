import { composeMaps, type MappedText, MappedTextBuilder } from '#router/guardrails/normalise/text-view.ts';

/** Anything but printable ASCII, tab and line ends. */
const UNUSUAL = /[^\t\n\r\x20-\x7e]/;

/** Characters that show nothing: joiners, zero-width spaces, bidi controls, selectors, tags, control codes. */
const INVISIBLE = /[[\p{Default_Ignorable_Code_Point}\p{Cc}]--[\t\n\v\f\r\x85]]+/gv;
const LINE_END = /[\v\f\x85\u2028\u2029]/g;

/** Marks that one letter may carry; more are noise, and the bound keeps normalisation linear. */
const MAX_MARKS = 32;
/** ASCII runs, Hangul syllables in letters, then a character with its marks: what NFKC may compose. */
const CLUSTER = new RegExp(
  `[\\t\\n\\r\\x20-\\x7e]+(?!\\p{M})|[\\uac00-\\ud7a3][\\u11a8-\\u11ff]?|[\\u1100-\\u115f][\\u1160-\\u11a7]?[\\u11a8-\\u11ff]?|.\\p{M}{0,${MAX_MARKS}}`,
  'gsu',
);

/** NFKC without invisible characters, with line ends unified to `\n`. The map leads back to the text as it came. */
export function undisguise(text: string): MappedText {
  if (!UNUSUAL.test(text)) return { text, map: null };
  const visible = withoutInvisible(text.replace(LINE_END, '\n'));
  const composed = composeClusters(visible.text);
  return { text: composed.text, map: composeMaps(visible.map, composed.map) };
}

function withoutInvisible(text: string): MappedText {
  const builder = new MappedTextBuilder(text.length);
  let at = 0;
  for (const match of text.matchAll(INVISIBLE)) {
    builder.copy(text.slice(at, match.index), at);
    at = match.index + match[0].length;
  }
  if (at === 0) return { text, map: null };
  builder.copy(text.slice(at), at);
  return builder.build();
}

function composeClusters(text: string): MappedText {
  if (text === text.normalize('NFKC')) return { text, map: null };
  const builder = new MappedTextBuilder(text.length);
  for (const match of text.matchAll(CLUSTER)) {
    const [cluster] = match;
    const composed = cluster.normalize('NFKC');
    if (composed === cluster) builder.copy(cluster, match.index);
    else builder.replace(composed, match.index, match.index + cluster.length);
  }
  return builder.build();
}
