import type { GuardedWords } from '#router/guardrails/prompt-guard/features.ts';
import { tokensOf } from '#router/guardrails/prompt-guard/tokens.ts';
import type { WordClasses } from '#router/guardrails/prompt-guard/word-classes.ts';

/** Longer system messages are looked at so far. */
const MAX_CHARACTERS = 65_536;
const MAX_WORDS = 256;
const MIN_LETTERS = 3;

const SENTENCE = /[^.!?;\n]+/g;
const KEPT =
  /\b(?:secrets?|confidential|classified|passwords?|passcode|passphrase|credentials|proprietary|internal use)\b/;
const REFUSED =
  /\b(?:not|never|don't|don’t|cannot|can't|mustn't|shouldn't|refuse|decline|without|avoid|nobody|no one)\b/;
const TELLING =
  /\b(?:reveal|revealing|share|shared|sharing|disclose|disclosed|disclosing|divulge|leak|tell|telling|mention|give (?:out|away)|expose|repeat|discuss|talk about|show|asks?)\b/;

/** Words of every such sentence, which tell nothing about what it keeps. */
const COMMON = new Set(
  `the and you your are not never don must should would could can may will any anyone with about that this these those for from
  under circumstances matter what even they them their there user users asks ask asked tell reveal share disclose divulge leak give
  out away mention discuss talk show repeat keep kept make sure answer answers question questions information details response
  responses conversation everything anything other only nobody when someone anybody refuse say politely decline have has been was
  were its but all also who which into than then your yours our ours customers customer help helpful assistant please always need
  like just very more most some such how why where does did being allowed task job know known`
    .split(/\s+/)
    .filter((word) => word !== ''),
);

/** The words of the sentences of a folded system message that keep something; null where none does. */
export function guardedWordsOf(folded: string, classes: WordClasses): GuardedWords | null {
  const words = new Set<number>();
  for (const [sentence] of folded.slice(0, MAX_CHARACTERS).matchAll(SENTENCE)) {
    if (!KEPT.test(sentence) && !(REFUSED.test(sentence) && TELLING.test(sentence))) continue;
    const tokens = tokensOf(sentence);
    for (let index = 0; index < tokens.count; index++) {
      const word = sentence.slice(tokens.starts[index], tokens.ends[index]).replace('’', "'");
      if (/^[0-9\n]/.test(word) || word.length < MIN_LETTERS || words.size >= MAX_WORDS) continue;
      if (!COMMON.has(word)) words.add(tokens.words[index] ?? 0);
    }
  }
  if (words.size === 0) return null;
  const kinds = new Set([...words].map((word) => classes.fineOf(word)).filter((kind) => kind !== 0));
  return { words, classes: kinds };
}
