import type { TokenUsage } from '#app/schemas/token-usage.ts';
import type { TurnEvent, TurnFinished } from '#app/schemas/turn.ts';
import { sseData } from '#router/http/sse-writer.ts';
import type { TextCompletion } from '#router/text-completions/text-completion-schema.ts';
import type { CompletionTurn } from '#router/turns/completion-answer.ts';

type Choice = TextCompletion['choices'][number];
/** A piece of one choice's text, or its end. */
type Piece = { index: number; text: string; finish_reason: string | null };

const envelope = ({ requestId, model, created }: CompletionTurn) => ({
  id: `cmpl-${requestId}`,
  object: 'text_completion' as const,
  created,
  model,
});

/** The text in an event, by choice. What is no text (tool calls, reasoning) the older API cannot say. */
function piecesOf(event: TurnEvent): Piece[] {
  if (event.type === 'delta') return [{ index: 0, text: event.text, finish_reason: null }];
  if (event.type !== 'chunk') return [];
  return event.chunk.choices.map(({ index, delta, finish_reason }) => ({
    index,
    text: delta.content ?? '',
    finish_reason: finish_reason ?? null,
  }));
}

/** The whole answer at once: a `text_completion`. */
export async function textCompletionAnswer(turn: CompletionTurn): Promise<TextCompletion> {
  const choices = new Map<number, Choice>();
  let engine: string | null = null;
  let finished: TurnFinished | undefined;
  for await (const events of turn.events) {
    for (const event of events) {
      if (event.type === 'started') engine = event.engine;
      else if (event.type === 'finished') finished = event;
      for (const { index, text, finish_reason } of piecesOf(event)) {
        const known = choices.get(index) ?? { index, text: '', logprobs: null, finish_reason: null };
        choices.set(index, {
          ...known,
          text: known.text + text,
          finish_reason: finish_reason ?? known.finish_reason,
        });
      }
    }
  }
  if (finished === undefined) throw new Error('The turn has no end.');
  if (choices.size === 0) choices.set(0, { index: 0, text: '', logprobs: null, finish_reason: null });
  const { finish_reason, citations, token_usage } = finished;
  return {
    ...envelope(turn),
    system_fingerprint: engine,
    choices: [...choices.values()]
      .sort((left, right) => left.index - right.index)
      .map((choice) => ({
        ...choice,
        finish_reason: choice.finish_reason ?? finish_reason,
        ...(citations.length === 0 ? {} : { citations }),
      })),
    usage: totalOf(token_usage),
  };
}

/** `text_completion` events as OpenAI streams them. Returns the end of the stream. */
export async function* textCompletionFrames(turn: CompletionTurn): AsyncGenerator<string, string> {
  let engine: string | null = null;
  const unfinished = new Set<number>([0]);
  const frame = (choices: readonly Record<string, unknown>[], usage: TokenUsage | null = null) =>
    sseData({
      ...envelope(turn),
      system_fingerprint: engine,
      choices: choices.map((choice) => ({ logprobs: null, ...choice })),
      ...(turn.includeUsage ? { usage } : {}),
    });
  const endOf = ({ citations, finish_reason, token_usage }: TurnFinished): string => {
    const cited = citations.length === 0 ? {} : { citations };
    const ends = [...unfinished].map((index) => frame([{ index, text: '', finish_reason, ...cited }]));
    if (turn.includeUsage) ends.push(frame([], totalOf(token_usage)));
    return `${ends.join('')}data: [DONE]\n\n`;
  };
  for await (const events of turn.events) {
    let frames = '';
    let finished: TurnFinished | null = null;
    for (const event of events) {
      if (event.type === 'started') engine = event.engine;
      else if (event.type === 'finished') finished = event;
      const pieces = piecesOf(event).filter(
        ({ text, finish_reason }) => text !== '' || finish_reason !== null,
      );
      for (const { index, finish_reason } of pieces) {
        if (finish_reason === null) unfinished.add(index);
        else unfinished.delete(index);
      }
      if (pieces.length > 0) frames += frame(pieces);
    }
    if (frames !== '') yield frames;
    if (finished !== null) return endOf(finished);
  }
  throw new Error('The turn has no end.');
}

const totalOf = (usage: TokenUsage): TokenUsage => ({
  ...usage,
  total_tokens: usage.prompt_tokens + usage.completion_tokens,
});
