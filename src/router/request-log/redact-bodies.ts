import type { RequestBodies } from '#app/schemas/request-log.ts';
import type { CompiledPolicy } from '#router/policy/compile-policy.ts';
import type { RequestText } from '#router/policy/decide-content.ts';
import { type KeptAnswer, MAX_KEPT_CHARACTERS } from '#router/request-log/explanation.ts';
import { plainParam } from '#router/request-log/plain-param.ts';

/** The text without what must not be kept. The same text where there is nothing of the kind. */
export type RedactText = (text: string, policy: CompiledPolicy) => Promise<string>;

/** Texts of one request: its fields, and the pieces of their content. */
const MAX_TEXTS = 200;

/** As much of the texts as is ever kept, so that a queue of them is bounded. What is cut is cut here. */
export function boundTexts(texts: readonly RequestText[]): { texts: RequestText[]; isCut: boolean } {
  const kept: RequestText[] = [];
  let room = MAX_KEPT_CHARACTERS;
  for (const { text, param } of texts) {
    if (kept.length === MAX_TEXTS || room <= 0) return { texts: kept, isCut: true };
    kept.push({ text: beginningOf(text, room), param: plainParam(param) });
    room -= text.length;
  }
  return { texts: kept, isCut: room < 0 };
}

/** A copy, where it is cut: a slice would keep all of the text in memory. */
const beginningOf = (text: string, length: number): string =>
  text.length <= length ? text : Buffer.from(text.slice(0, length), 'utf16le').toString('utf16le');

/** Redacts what was asked and answered. */
export async function redactBodies(
  kept: { texts: readonly RequestText[]; isCut: boolean; answer: KeptAnswer | null },
  redact: RedactText,
  policy: CompiledPolicy,
): Promise<RequestBodies> {
  let complete = !kept.isCut && kept.answer?.isCut !== true;
  const clean = async (text: string): Promise<string> => {
    // PostgreSQL takes no NUL and no half of a surrogate pair.
    const storable = text.replaceAll('\0', '\uFFFD').toWellFormed();
    const redacted = await redact(storable, policy);
    if (redacted !== text) complete = false;
    return redacted;
  };
  const texts: RequestBodies['texts'] = [];
  for (const { text, param } of kept.texts) {
    texts.push({ param: param.toWellFormed(), text: await clean(text) });
  }
  const answer = kept.answer === null ? null : await clean(kept.answer.text);
  return { texts, answer, complete };
}
