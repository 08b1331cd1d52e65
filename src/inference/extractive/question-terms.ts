import { streamSafe } from '#app/stream-safe.ts';

/** Words that say how something is asked, not what about. */
const STOP_WORDS = new Set(
  `a about after again all also am an and any are aren't as at be because been before being between both but by can
  can't cannot could couldn't did didn't do does doesn't doing don't down during each else ever few for from further
  get gets getting give gives given go goes had has have having he her here hers him his how how's however i i'd i'll i'm
  i've if in into is isn't it it's its itself just let let's like make makes many may me mean means might more most much
  must my need needs needed no nor not now of off on once one only or other our out over own per please possible put
  really same shall she should show since so some such take takes tell than thank thanks that that's the their them then
  there these they thing things this those through to too under until up upon us use used uses using very want wants was
  wasn't way ways we well were what what's when where which while who whom whose why will with within without won't work
  works would yes yet you you'd you'll your explain describe happen happens find out there's whether exactly mine
  something anything someone anyone somebody anybody question answer`.split(/\s+/),
);

const WORD = /[\p{L}\p{N}_]+(?:['’][\p{L}]+)?/gu;

/**
 * The stems of a text's words. An identifier such as `keepAliveTimeout` gives itself and its parts, so that it
 * is found by those who write it as three words.
 */
export function stemsOf(text: string): string[] {
  const stems: string[] = [];
  for (const [word] of text.matchAll(WORD)) {
    const parts = word.split(/_+|(?<=\p{Ll})(?=\p{Lu})/u).filter((part) => part !== '');
    if (parts.length > 1) stems.push(stem(word));
    for (const part of parts) stems.push(stem(part));
  }
  return stems;
}

/** The stems of the words that carry a question's subject, each once. */
export function questionTerms(question: string): Set<string> {
  const terms = new Set<string>();
  for (const [word] of question.matchAll(WORD)) {
    if (STOP_WORDS.has(word.toLowerCase().replace('’', "'"))) continue;
    for (const term of stemsOf(word)) if (term.length > 1 || /\d/.test(term)) terms.add(term);
  }
  return terms;
}

/** Folds the common English endings, so that `retries`, `retried` and `retrying` meet. Not a dictionary: `stem` is no word. */
export function stem(word: string): string {
  let w = streamSafe(word.toLowerCase())
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .replace(/['’].*$/, '');
  if (w.length <= 3 || /\d/.test(w)) return w;
  w = w
    .replace(/(?:ies|ied|ie)$|(?<=[^aeiou])y$/, 'i')
    .replace(/(?<=ss|sh|ch|x)es$/, '')
    .replace(/(?<![suis])s$/, '');
  if (w.length > 5) w = w.replace(/(?:ing|edly|ed|ly)$/, '').replace(/([bdfgmnprt])\1$/, '$1');
  if (w.length > 6)
    w = w.replace(/(?:ment|ness|ation|ion|able|ible|er|or)$/, (ending) => (ending === 'ation' ? 'at' : ''));
  return w.length > 3 ? w.replace(/e$/, '') : w;
}
