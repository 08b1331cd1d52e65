import type { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { openAIErrorBody } from '#app/errors/error-body.ts';
import type { ChatCompletionChunk } from '#app/schemas/chat-completion-chunk.ts';
import type { TokenUsage } from '#app/schemas/token-usage.ts';
import type { TurnBatch, TurnFinished } from '#app/schemas/turn.ts';
import { sseData } from '#router/http/sse-writer.ts';
import { ChoiceAssembler } from '#router/turns/assemble-choices.ts';
import type { ChatCompletion } from '#router/turns/chat-completion-schema.ts';
import { olderChoice, olderPiece } from '#router/turns/legacy-answer.ts';

export type CompletionTurn = Readonly<{
  events: AsyncIterable<TurnBatch>;
  requestId: string;
  /** As the client asked for it. */
  model: string;
  /** Seconds since 1970. */
  created: number;
  includeUsage: boolean;
  /** Calls are told in the older form: the client sent `functions`. */
  callsFunctions?: boolean;
}>;

/** `object`, ids and times that every piece of one answer shares. */
function envelope({ requestId, model, created }: CompletionTurn) {
  return { id: `chatcmpl-${requestId}`, created, model };
}

/** The whole answer at once: a `chat.completion`. */
export async function completionAnswer(turn: CompletionTurn): Promise<ChatCompletion> {
  const assembler = new ChoiceAssembler();
  let engine: string | null = null;
  let finished: TurnFinished | undefined;
  let text = '';
  let isDirect = false;
  for await (const events of turn.events) {
    for (const event of events) {
      if (event.type === 'started') engine = event.engine;
      else if (event.type === 'delta') text += event.text;
      else if (event.type === 'chunk') {
        isDirect = true;
        assembler.take(event.chunk);
      } else if (event.type === 'finished') finished = event;
    }
  }
  if (finished === undefined) throw new Error('The turn has no end.');
  const { finish_reason, citations } = finished;
  const message = { role: 'assistant' as const, content: text, refusal: null, citations };
  return {
    ...envelope(turn),
    object: 'chat.completion',
    system_fingerprint: engine,
    choices: isDirect
      ? assembler
          .choices()
          .map((choice) => ({ ...choice, finish_reason: choice.finish_reason ?? finish_reason }))
          .map((choice) => (turn.callsFunctions ? olderChoice(choice) : choice))
      : [{ index: 0, message, logprobs: null, finish_reason }],
    usage: plainUsage(finished.token_usage),
  };
}

/** `chat.completion.chunk` events as OpenAI streams them. Returns the end of the stream. */
export async function* completionFrames(turn: CompletionTurn): AsyncGenerator<string, string> {
  let engine: string | null = null;
  let hasRole = false;
  const frame = (chunk: Record<string, unknown>) =>
    sseData({
      ...envelope(turn),
      object: 'chat.completion.chunk',
      system_fingerprint: engine,
      ...chunk,
      // Where usage is asked for, every chunk but the last has it as null.
      ...(turn.includeUsage && chunk.usage === undefined ? { usage: null } : {}),
    });
  const delta = (content: Record<string, unknown>, finish_reason: string | null = null) =>
    frame({ choices: [{ index: 0, delta: content, logprobs: null, finish_reason }] });
  const role = () => {
    if (hasRole) return '';
    hasRole = true;
    return delta({ role: 'assistant', content: '' });
  };
  let isDirect = false;
  const unfinished = new Set<number>();

  const endOf = (event: TurnFinished): string => {
    let end = isDirect ? '' : role() + delta({ citations: event.citations }, event.finish_reason);
    // Clients throw on a choice that never finishes.
    for (const index of unfinished) {
      end += frame({ choices: [{ index, delta: {}, logprobs: null, finish_reason: event.finish_reason }] });
    }
    if (turn.includeUsage) end += frame({ choices: [], usage: plainUsage(event.token_usage) });
    return `${end}data: [DONE]\n\n`;
  };

  for await (const events of turn.events) {
    // What came at once leaves at once.
    let frames = '';
    let finished: TurnFinished | null = null;
    for (const event of events) {
      if (event.type === 'started') engine = event.engine;
      else if (event.type === 'delta') frames += role() + delta({ content: event.text });
      else if (event.type === 'chunk') {
        isDirect = true;
        const passed = choicesToPass(event.chunk, unfinished);
        const choices = turn.callsFunctions ? passed.flatMap((choice) => olderPiece(choice) ?? []) : passed;
        if (choices.length > 0) frames += frame({ choices });
      } else if (event.type === 'finished') finished = event;
    }
    if (frames !== '') yield frames;
    if (finished !== null) return endOf(finished);
  }
  throw new Error('The turn has no end.');
}

/** The engine's choices as they are; its usage is told once, at the end, whatever the engine does. */
function choicesToPass(chunk: ChatCompletionChunk, unfinished: Set<number>): ChatCompletionChunk['choices'] {
  for (const { index, finish_reason: reason } of chunk.choices) {
    if (typeof reason === 'string') unfinished.delete(index);
    else unfinished.add(index);
  }
  return chunk.choices;
}

/** The counts alone, with details where the engine gave them. */
const plainUsage = (usage: TokenUsage): TokenUsage => ({
  ...usage,
  total_tokens: usage.prompt_tokens + usage.completion_tokens,
});

export const completionErrorFrame = (error: BulkheadError, requestId: string): string =>
  sseData(openAIErrorBody(error, requestId));
