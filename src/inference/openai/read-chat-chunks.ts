import { randomUUID } from 'node:crypto';
import type { EventSourceMessage } from 'eventsource-parser';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { type ChatCompletionChunk, chatCompletionChunkSchema } from '#app/schemas/chat-completion-chunk.ts';
import { type TokenUsage, tokenUsageSchema } from '#app/schemas/token-usage.ts';
import { failureOf, readComplaint } from '#inference/openai/engine-failure.ts';
import { ToolCallIndexes } from '#inference/openai/tool-call-indexes.ts';
import { AttemptFailure } from '#inference/retry.ts';

type ChunkDefaults = Pick<ChatCompletionChunk, 'id' | 'created' | 'model'>;
type Delta = ChatCompletionChunk['choices'][number]['delta'];

/**
 * The events of an OpenAI-compatible stream as chunks of one form, whichever server wrote them: every choice ends
 * with a `finish_reason`, and the last chunk has no choices and the usage.
 *
 * Where the server reports no usage, the last chunk says what is known: `completion_tokens` is the number of
 * pieces that came (servers send a token a piece, sometimes more), `prompt_tokens` is 0, `estimated` is true.
 *
 * Throws AttemptFailure: for an error in the stream, for JSON that is none, for a stream that ends before its
 * first chunk (a `[DONE]` alone is how vLLM says that it failed early), and for one that breaks off.
 */
export async function* readChatChunks(
  events: AsyncIterable<EventSourceMessage>,
  model: string,
  now: () => number,
): AsyncGenerator<ChatCompletionChunk, void, undefined> {
  const defaults = { id: `chatcmpl-${randomUUID()}`, created: Math.floor(now() / 1_000), model };
  const choices = new Map<number, { finished: boolean; callsTools: boolean }>();
  const toolCalls = new Map<unknown, ToolCallIndexes>();
  let latest: ChunkDefaults | undefined;
  const usages: TokenUsage[] = [];
  let pieces = 0;
  let done = false;

  for await (const event of events) {
    if (event.data === '[DONE]') {
      done = true;
      break;
    }
    const raw = parseEvent(event, model);
    const usage = tokenUsageSchema.safeParse(raw.usage).data;
    if (usage !== undefined) usages.push(usage);
    const chunk = toChunk(raw, latest ?? defaults, toolCalls);
    latest ??= { id: chunk.id, created: chunk.created, model: chunk.model };
    for (const { index, delta, finish_reason } of chunk.choices) {
      const known = choices.get(index) ?? { finished: false, callsTools: false };
      choices.set(index, known);
      known.finished ||= typeof finish_reason === 'string';
      known.callsTools ||= (delta.tool_calls ?? []).length > 0;
      if (carriesTokens(delta)) pieces += 1;
    }
    if (chunk.choices.length > 0) yield chunk;
  }

  const unfinished = [...choices].filter(([, { finished }]) => !finished);
  if (latest === undefined) throw failed('The inference engine ended its answer before the first token.');
  const isWhole = done || usages.length > 0 || (choices.size > 0 && unfinished.length === 0);
  if (!isWhole) throw failed('The inference engine broke off its answer.');
  const common = { ...latest, object: 'chat.completion.chunk' as const };
  if (unfinished.length > 0) {
    yield {
      ...common,
      choices: unfinished.map(([index, { callsTools }]) => ({
        index,
        delta: {},
        finish_reason: callsTools ? 'tool_calls' : 'stop',
      })),
    };
  }
  const known = { prompt_tokens: 0, completion_tokens: pieces, total_tokens: pieces, estimated: true };
  yield { ...common, choices: [], usage: totalOf(usages, choices.size) ?? known };
}

/** Servers report once, at the end, or a running total; llama.cpp reports each of several choices by itself. */
function totalOf(usages: readonly TokenUsage[], choices: number): TokenUsage | undefined {
  const last = usages.at(-1);
  if (last === undefined || choices < 2 || usages.length !== choices) return last;
  const completion = usages.reduce((sum, { completion_tokens }) => sum + completion_tokens, 0);
  return { ...last, completion_tokens: completion, total_tokens: last.prompt_tokens + completion };
}

/** May be tried again: it counts only while nothing was passed on. */
const failed = (message: string, cause?: unknown) =>
  new AttemptFailure(new BulkheadError('engine_error', message, { cause }), true);

function parseEvent({ event, data }: EventSourceMessage, model: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch (error) {
    throw failed('The inference engine sent an event that is not JSON.', error);
  }
  if (!isObject(value)) throw failed('The inference engine sent an event that is not understood.');
  const isError = event === 'error' || value.object === 'error' || (value.error ?? null) !== null;
  if (!isError) return value;
  throw failureOf(
    readComplaint(value, 500) ?? { status: 500, message: data, type: null, param: null },
    model,
  );
}

/** Fills in what servers leave out, then checks. Usage is taken off: it is told once, at the end. */
function toChunk(
  raw: Record<string, unknown>,
  defaults: ChunkDefaults,
  toolCalls: Map<unknown, ToolCallIndexes>,
): ChatCompletionChunk {
  const { usage: _usage, ...rest } = raw;
  const parsed = chatCompletionChunkSchema.safeParse({
    ...rest,
    id: typeof raw.id === 'string' && raw.id !== '' ? raw.id : defaults.id,
    object: 'chat.completion.chunk',
    created: typeof raw.created === 'number' ? Math.floor(raw.created) : defaults.created,
    model: typeof raw.model === 'string' && raw.model !== '' ? raw.model : defaults.model,
    choices: Array.isArray(raw.choices)
      ? raw.choices.map((choice, place) => toChoice(choice, place, toolCalls))
      : [],
  });
  if (parsed.success) return parsed.data;
  throw failed('The inference engine sent an event that is not understood.', parsed.error);
}

function toChoice(choice: unknown, place: number, toolCalls: Map<unknown, ToolCallIndexes>): unknown {
  if (!isObject(choice)) return choice;
  const index = choice.index ?? place;
  const delta = isObject(choice.delta) ? choice.delta : {};
  let calls: unknown[] | undefined;
  if (Array.isArray(delta.tool_calls)) {
    const indexes = toolCalls.get(index) ?? new ToolCallIndexes();
    toolCalls.set(index, indexes);
    calls = delta.tool_calls.map((call: unknown, nth) =>
      isObject(call) ? indexes.complete(call, nth) : call,
    );
  }
  return {
    ...choice,
    index,
    delta: calls === undefined ? delta : { ...delta, tool_calls: calls },
    finish_reason: choice.finish_reason === '' ? null : (choice.finish_reason ?? null),
  };
}

const carriesTokens = ({ content, refusal, tool_calls, reasoning, reasoning_content }: Delta): boolean =>
  [content, refusal, reasoning, reasoning_content].some((text) => typeof text === 'string' && text !== '') ||
  (tool_calls ?? []).length > 0;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
