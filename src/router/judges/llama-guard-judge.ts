import { z } from 'zod';
import type { JudgeSetting } from '#app/schemas/guardrail-judge.ts';
import { categoryOf, type Judge, type JudgedText, JudgeFailure, type Verdict } from '#router/judges/judge.ts';
import type { JudgeHttp } from '#router/judges/judge-http.ts';

const completionSchema = z.object({
  choices: z
    .array(z.object({ message: z.object({ content: z.string() }), finish_reason: z.string().nullish() }))
    .length(1),
});

/** `unsafe` and a dozen categories are shorter. */
const MAX_TOKENS = 64;
/** Of what was asked before, as much as tells what an answer is about. */
const MAX_QUESTION_CHARACTERS = 2_000;

/**
 * A Llama-Guard-style model on an OpenAI-compatible server: its chat template makes the task of the messages, and it replies
 * `safe`, or `unsafe` and a line of categories.
 */
export function createLlamaGuardJudge(
  setting: Extract<JudgeSetting, { kind: 'llama_guard' }>,
  http: JudgeHttp,
  /** The server's key as of now. */
  apiKey: () => string | undefined = () => setting.api_key,
): Judge {
  const { base_url, model } = setting;
  const url = `${base_url.replace(/\/+$/, '')}/chat/completions`;
  const headersNow = () => {
    const key = apiKey();
    return {
      'content-type': 'application/json',
      accept: 'application/json',
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
    };
  };
  return {
    async judge(text, signal) {
      const body = JSON.stringify({
        model,
        messages: messagesOf(text),
        temperature: 0,
        max_tokens: MAX_TOKENS,
        stream: false,
      });
      const parsed = completionSchema.safeParse(
        await http.post(url, { headers: headersNow(), body }, signal),
      );
      if (!parsed.success) throw new JudgeFailure('The judge’s answer is no chat completion.');
      const [choice] = parsed.data.choices;
      if (choice?.finish_reason === 'length') throw new JudgeFailure('The judge’s answer is cut off.');
      return readVerdict(choice?.message.content ?? '');
    },
    close: () => http.close(),
  };
}

/** These models judge the last message, by its role. */
function messagesOf({ source, text, lead, question }: JudgedText) {
  const judged = withoutControls(lead + text);
  if (source === 'input') return [{ role: 'user', content: judged }];
  const asked = withoutControls(question.slice(-MAX_QUESTION_CHARACTERS));
  return [
    // Their templates want a question first.
    { role: 'user', content: asked === '' ? '-' : asked },
    { role: 'assistant', content: judged },
  ];
}

/**
 * Breaks up what a chat template would read as its own: a text must not end its own message, or the conversation that is
 * judged, and give the verdict itself.
 */
const withoutControls = (text: string): string =>
  text
    .replace(/<(?=\||\/?s>|\/?SYS|\/?(?:BEGIN|END) )/gi, '< ')
    .replace(/\|(?=>)/g, '| ')
    .replace(/\[(?=\/?INST\])/gi, '[ ');

/** Throws {@link JudgeFailure} where the model said anything else. */
export function readVerdict(reply: string): Verdict {
  const [word = '', line = '', ...more] = reply.trim().split(/\s*\n\s*/);
  const verdict = word.toLowerCase();
  if (verdict === 'safe' && line === '') return { outcome: 'safe' };
  const categories = line === '' ? [] : line.split(/\s*,\s*/).map(categoryOf);
  if (verdict !== 'unsafe' || more.length > 0 || categories.some((name) => !/^[A-Za-z]\w{0,31}$/.test(name)))
    throw new JudgeFailure('The judge’s answer is neither safe nor unsafe.');
  return { outcome: 'unsafe', categories: [...new Set(categories)] };
}
