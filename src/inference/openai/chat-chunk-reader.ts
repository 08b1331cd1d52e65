import { randomUUID } from 'node:crypto';
import type { EventSourceMessage } from 'eventsource-parser';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import {
  type ChatCompletionChunk,
  carriesTokens,
  chatCompletionChunkSchema,
} from '#app/schemas/chat-completion-chunk.ts';
import { type TokenUsage, tokenUsageSchema } from '#app/schemas/token-usage.ts';
import { failureOf, readComplaint } from '#inference/openai/engine-failure.ts';
import { ToolCallIndexes } from '#inference/openai/tool-call-indexes.ts';
import { AttemptFailure } from '#inference/retry.ts';
import { SseEventReader } from '#inference/sse/sse-event-reader.ts';

type ChunkDefaults = Pick<ChatCompletionChunk, 'id' | 'created' | 'model'>;

/** Far more than a request may ask for; each is kept track of to the end. */
const MAX_CHOICES = 128;

/**
 * The envelope of an event, characters: it is not counted against an answer's size. Each event counts a little, so that there is an
 * end to empty ones too.
 */
const ENVELOPE_CHARACTERS = 256;
const MIN_EVENT_CHARACTERS = 16;
/** Servers that report no usage as they go may send a token in several pieces. */
const PIECES_PER_TOKEN = 2;

/** How much of an answer is taken; what comes after it is cut off. */
export type AnswerBounds = Readonly<{
  /** Of all choices together; null: as many as the engine writes. */
  maxTokens?: number | null;
  /** Text, calls and log probabilities as JSON. */
  maxCharacters?: number;
}>;

/** What may be told of usage where tenants may share a cache of prompts: how much of one was in it is what another has asked. */
const TOLD_OF_USAGE = [
  'prompt_tokens',
  'completion_tokens',
  'total_tokens',
  'completion_tokens_details',
] as const;

type ChoiceState = { finished: boolean; callsTools: boolean };

/**
 * Bytes of an OpenAI-compatible stream as chunks of one form, whichever server wrote them: every choice ends with a
 * `finish_reason`, and the last chunk has no choices and the usage. Bytes go in as they come, and all chunks that they
 * complete come out at once: a stream costs a turn of the event loop a packet, not one a token.
 *
 * A server that reports its usage as it goes is passed on: then chunks before the last have the running total as well.
 *
 * Where the server reports no usage, the last chunk says what is known: `completion_tokens` is the number of
 * pieces that came (servers send a token a piece, sometimes more), `prompt_tokens` is 0, `estimated` is true.
 *
 * An answer that outgrows its bounds ends there, every choice with the `finish_reason` `length`, and with the usage so far: see
 * `isCut`. An engine that was given `max_tokens` and obeys it never does.
 *
 * Throws AttemptFailure: for an error in the stream, for JSON that is none, for a stream that ends before its
 * first chunk (a `[DONE]` alone is how vLLM says that it failed early), and for one that breaks off. What came
 * before a failure is given out first.
 */
export class ChatChunkReader {
  readonly #model: string;
  readonly #now: () => number;
  readonly #hidesCache: boolean;
  readonly #maxTokens: number;
  readonly #maxCharacters: number;
  readonly #events = new SseEventReader();
  readonly #choices = new Map<number, ChoiceState>();
  readonly #toolCalls = new Map<unknown, ToolCallIndexes>();
  /** Of chunks without choices: the end of the answer, or of one choice. */
  readonly #usages: TokenUsage[] = [];
  /** Of chunks with choices: as far as the choice has come. */
  readonly #running = new Map<number, TokenUsage>();
  #latest: ChunkDefaults | undefined;
  #pieces = 0;
  #characters = 0;
  #saidDone = false;
  #isCut = false;
  #isEnded = false;
  #failure: { error: unknown } | undefined;

  /** `hidesCache`: what the engine says of its cache is not told. */
  constructor(
    model: string,
    now: () => number,
    { hidesCache = false, maxTokens, maxCharacters }: AnswerBounds & { hidesCache?: boolean } = {},
  ) {
    this.#model = model;
    this.#now = now;
    this.#hidesCache = hidesCache;
    this.#maxTokens = maxTokens ?? Number.POSITIVE_INFINITY;
    this.#maxCharacters = maxCharacters ?? Number.POSITIVE_INFINITY;
  }

  /** Whether the last chunk was given out. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Whether the answer was longer than its bounds: the engine may still be writing. */
  get isCut(): boolean {
    return this.#isCut;
  }

  /** What ends the answer early, once the chunks before it were given out. */
  get failure(): { error: unknown } | undefined {
    return this.#failure;
  }

  /** The chunks that these bytes complete, perhaps none; null: there are no more bytes. */
  feed(bytes: Uint8Array | null): ChatCompletionChunk[] {
    const chunks: ChatCompletionChunk[] = [];
    if (this.#failure !== undefined) throw this.#failure.error;
    try {
      if (bytes !== null) for (const event of this.#events.feed(bytes)) this.#take(event, chunks);
      if (bytes === null || this.#saidDone) this.#end(chunks);
    } catch (error) {
      if (chunks.length === 0) throw error;
      this.#failure = { error };
    }
    return chunks;
  }

  #take(event: EventSourceMessage, chunks: ChatCompletionChunk[]): void {
    // Whatever follows the end is not the answer's.
    if (this.#saidDone) return;
    if (event.data === '[DONE]') {
      this.#saidDone = true;
      return;
    }
    this.#characters += Math.max(MIN_EVENT_CHARACTERS, event.data.length - ENVELOPE_CHARACTERS);
    const raw = parseEvent(event, this.#model);
    // Most events have none.
    const usage = raw.usage == null ? undefined : this.#usageOf(raw.usage);
    const chunk = toChunk(raw, () => this.#common(), this.#toolCalls);
    if (usage !== undefined) {
      const [choice] = chunk.choices;
      if (choice === undefined) this.#usages.push(usage);
      else {
        this.#running.set(choice.index, usage);
        chunk.usage = sumOf([...this.#running.values()]);
      }
    }
    this.#latest ??= { id: chunk.id, created: chunk.created, model: chunk.model };
    for (const { index, delta, finish_reason } of chunk.choices) {
      const known = this.#choices.get(index) ?? { finished: false, callsTools: false };
      this.#choices.set(index, known);
      if (this.#choices.size > MAX_CHOICES)
        throw failed('The inference engine gave too many answers at once.');
      known.finished ||= typeof finish_reason === 'string';
      known.callsTools ||= (delta.tool_calls ?? []).length > 0;
      if (carriesTokens(delta)) this.#pieces += 1;
    }
    if (chunk.choices.length > 0) chunks.push(chunk);
    if (this.#characters > this.#maxCharacters || this.#hasTooManyTokens(chunk.usage)) {
      this.#isCut = true;
      this.#saidDone = true;
    }
  }

  #hasTooManyTokens(usage: TokenUsage | null | undefined): boolean {
    if (this.#maxTokens === Number.POSITIVE_INFINITY) return false;
    return usage == null
      ? this.#running.size === 0 && this.#pieces > this.#maxTokens * PIECES_PER_TOKEN
      : usage.completion_tokens > this.#maxTokens;
  }

  #usageOf(raw: unknown): TokenUsage | undefined {
    const usage = tokenUsageSchema.safeParse(raw).data;
    if (usage === undefined || !this.#hidesCache) return usage;
    const told: TokenUsage = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 };
    for (const name of TOLD_OF_USAGE)
      if (usage[name] !== undefined) Object.assign(told, { [name]: usage[name] });
    return told;
  }

  /** What all chunks of the answer share, where the server does not say. */
  #common(): ChunkDefaults {
    const created = Math.floor(this.#now() / 1_000);
    return this.#latest ?? { id: `chatcmpl-${randomUUID()}`, created, model: this.#model };
  }

  #end(chunks: ChatCompletionChunk[]): void {
    const latest = this.#latest;
    if (latest === undefined) throw failed('The inference engine ended its answer before the first token.');
    const unfinished = [...this.#choices].filter(([, { finished }]) => !finished);
    const isWhole =
      this.#saidDone || this.#usages.length > 0 || (this.#choices.size > 0 && unfinished.length === 0);
    if (!isWhole) throw failed('The inference engine broke off its answer.');
    const common = { ...latest, object: 'chat.completion.chunk' as const };
    if (unfinished.length > 0) {
      chunks.push({
        ...common,
        choices: unfinished.map(([index, { callsTools }]) => ({
          index,
          delta: {},
          finish_reason: this.#isCut ? 'length' : callsTools ? 'tool_calls' : 'stop',
        })),
      });
    }
    const pieces = this.#pieces;
    const known = { prompt_tokens: 0, completion_tokens: pieces, total_tokens: pieces, estimated: true };
    chunks.push({ ...common, choices: [], usage: this.#total() ?? known });
    this.#isEnded = true;
  }

  /** Servers report once, at the end; llama.cpp reports each of several choices by itself. */
  #total(): TokenUsage | undefined {
    const isByChoice = this.#choices.size > 1 && this.#usages.length === this.#choices.size;
    if (isByChoice) return sumOf(this.#usages);
    return this.#usages.at(-1) ?? sumOf([...this.#running.values()]);
  }
}

/** Of several choices to one prompt. */
function sumOf(usages: readonly TokenUsage[]): TokenUsage | undefined {
  const last = usages.at(-1);
  if (last === undefined || usages.length === 1) return last;
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

/** Fills in what servers leave out, then checks. Usage is taken off: the caller knows what it is of. */
function toChunk(
  raw: Record<string, unknown>,
  defaults: () => ChunkDefaults,
  toolCalls: Map<unknown, ToolCallIndexes>,
): ChatCompletionChunk {
  const { usage: _usage, ...rest } = raw;
  const { id, created, model, choices } = raw;
  const chunk: LooseChunk = {
    ...rest,
    id: typeof id === 'string' && id !== '' ? id : defaults().id,
    object: 'chat.completion.chunk',
    created: typeof created === 'number' ? Math.floor(created) : defaults().created,
    model: typeof model === 'string' && model !== '' ? model : defaults().model,
    choices: Array.isArray(choices) ? choices.map((choice, place) => toChoice(choice, place, toolCalls)) : [],
  };
  if (isPlain(chunk)) return chunk;
  const parsed = chatCompletionChunkSchema.safeParse(chunk);
  if (parsed.success) return parsed.data;
  throw failed('The inference engine sent an event that is not understood.', parsed.error);
}

type LooseChunk = Omit<ChatCompletionChunk, 'choices'> & { choices: unknown[] };

/** What nearly every event is: choices with a place and some text. It needs no schema, and there is one a token. */
function isPlain(chunk: LooseChunk): chunk is ChatCompletionChunk {
  return Number.isSafeInteger(chunk.created) && chunk.choices.every(isPlainChoice);
}

function isPlainChoice(choice: unknown): boolean {
  if (!isObject(choice) || !isObject(choice.delta)) return false;
  const { index, delta, finish_reason: reason } = choice;
  if (!Number.isSafeInteger(index) || Number(index) < 0) return false;
  if (reason !== null && typeof reason !== 'string') return false;
  return (
    isTextOrNone(delta.role) &&
    isTextOrNone(delta.content) &&
    isTextOrNone(delta.refusal) &&
    (delta.tool_calls ?? null) === null
  );
}

const isTextOrNone = (value: unknown): boolean => typeof value === 'string' || (value ?? null) === null;

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

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
