import type { ChatMessage } from '#app/schemas/chat-message.ts';
import type { TurnRequest } from '#app/schemas/turn.ts';
import { type JudgeWatch, unplaceable } from '#router/judges/judge-watch.ts';
import { readableTexts } from '#router/judges/readable-texts.ts';

/**
 * The turn as the judges leave it. Every message is judged, whoever is said to have written it: callers choose the roles.
 * Throws `guardrail_refused`.
 */
export async function judgeTurn(
  watch: JudgeWatch,
  turn: TurnRequest,
  paramOf: (param: string) => string,
): Promise<TurnRequest> {
  const messages = await firstFailure(
    watch,
    turn.messages.map((message, index) => judgeMessage(watch, message, paramOf(`messages.${index}`))),
  );
  await firstFailure(
    watch,
    Object.entries(turn.engine_parameters).map(async ([name, value]) => {
      const texts = readableTexts(value, name);
      if (texts.length === 0) return;
      const judged = await watch.judge(texts.join('\n'), { param: paramOf(name) });
      if (judged.isMasked) throw unplaceable(paramOf(name));
    }),
  );
  return { ...turn, messages };
}

async function judgeMessage(watch: JudgeWatch, message: ChatMessage, param: string): Promise<ChatMessage> {
  // Which message it is says nothing of its texts.
  const texts = readableTexts(message, 'messages.0');
  if (texts.length === 0) return message;
  const judged = await watch.judge(texts.join('\n'), { param });
  if (!judged.isMasked) return message;
  const { content } = message;
  const [only, ...others] = texts;
  if (others.length > 0) throw unplaceable(param);
  if (content === only) return { ...message, content: judged.text };
  if (!Array.isArray(content)) throw unplaceable(param);
  // One text in several parts: the first takes all of it.
  let isPlaced = false;
  const parts = content.map((part) => {
    if (!('text' in part) || typeof part.text !== 'string') return part;
    const text = isPlaced ? '' : judged.text;
    isPlaced = true;
    return { ...part, text };
  });
  if (!isPlaced) throw unplaceable(param);
  return { ...message, content: parts };
}

/** All results, or the first failure once no call is left under way. */
async function firstFailure<Result>(watch: JudgeWatch, work: readonly Promise<Result>[]): Promise<Result[]> {
  try {
    return await Promise.all(work);
  } catch (error) {
    watch.stop();
    await Promise.allSettled(work);
    throw error;
  }
}
