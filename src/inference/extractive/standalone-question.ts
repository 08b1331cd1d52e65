import { type ChatMessage, textOfMessage } from '#app/schemas/chat-message.ts';
import { questionTerms } from '#inference/extractive/question-terms.ts';

/** Longer questions are ranked by their start; a pasted document is no question. */
const LONGEST_QUESTION = 1_000;
const LEANS_BACK =
  /^(?:and|but|or|also|so|then|what about|how about|why)\b|\b(?:it|its|that|this|these|those|them|they|one|ones|there|same|instead)\b/i;
const FEW_TERMS = 3;

/**
 * The newest question as it would be asked by itself. A short one that leans on the conversation (`and how do
 * I disable it?`) gets the user's message before it in front.
 */
export function standaloneQuestion(messages: readonly ChatMessage[]): string {
  const asked = messages
    .filter(({ role }) => role === 'user')
    .map((message) => textOfMessage(message).slice(0, LONGEST_QUESTION).trim())
    .filter((text) => text !== '');
  const newest = asked.at(-1) ?? '';
  const before = asked.at(-2);
  if (before === undefined) return newest;
  const terms = questionTerms(newest).size;
  const leans = terms <= 1 || (terms <= FEW_TERMS && LEANS_BACK.test(newest));
  return leans ? `${before} ${newest}` : newest;
}
