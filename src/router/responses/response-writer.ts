import type { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { ChatCompletionChunk } from '#app/schemas/chat-completion-chunk.ts';
import type { TurnEvent, TurnFinished } from '#app/schemas/turn.ts';
import { FunctionCalls } from '#router/responses/function-calls.ts';
import { type ItemEvent, openMessage, openReasoning } from '#router/responses/open-item.ts';
import { OutputItems } from '#router/responses/output-items.ts';
import { usageOf } from '#router/responses/response-object.ts';
import type { ResponseObject, TokenLogprob } from '#router/responses/response-schema.ts';
import { tokenLogprobs } from '#router/responses/token-logprobs.ts';

/** An event as it is sent. */
export type ResponseEvent = ItemEvent & Readonly<{ sequence_number: number }>;

type Delta = ChatCompletionChunk['choices'][number]['delta'];

/**
 * Writes a turn as a response: every event of the turn gives events of the Responses API, and `response` is what they
 * add up to. Nothing is given before the first content, so that an early failure has a status of its own.
 */
export class ResponseWriter {
  #response: ResponseObject;
  readonly #now: () => number;
  readonly #output = new OutputItems();
  readonly #calls: FunctionCalls;
  readonly #idOf: (prefix: string) => string;
  #sequence = 0;
  #hasBegun = false;

  /** `now`: milliseconds since 1970. */
  constructor(response: ResponseObject, now: () => number) {
    this.#response = response;
    this.#now = now;
    const suffix = response.id.replace(/^resp_/, '');
    this.#idOf = (prefix) => `${prefix}_${suffix}_${this.#output.size}`;
    this.#calls = new FunctionCalls(this.#output, this.#idOf);
  }

  /** As far as it is written. */
  get response(): ResponseObject {
    return { ...this.#response, output: this.#output.list() };
  }

  /** For the last event: whether the response is kept, which is tried when all of it is there. */
  set isKept(store: boolean) {
    this.#response = { ...this.#response, store };
  }

  take(event: TurnEvent): ResponseEvent[] {
    switch (event.type) {
      case 'started':
        this.#response = { ...this.#response, system_fingerprint: event.engine };
        return [];
      case 'retrieved':
      case 'asked':
        return [];
      case 'delta':
        return this.#tell(() => this.#speak('output_text', event.text));
      case 'chunk': {
        const choice = event.chunk.choices.find(({ index }) => index === 0);
        if (choice === undefined) return [];
        return this.#tell(() => this.#takeDelta(choice.delta, tokenLogprobs(choice.logprobs)));
      }
      case 'finished':
        return this.#tell(() => this.#finish(event));
    }
  }

  /** The turn broke off: what was written stays. */
  fail({ code, message }: BulkheadError): ResponseEvent[] {
    return this.#tell(() => {
      this.#output.endAll({ status: 'incomplete', citations: [] });
      this.#response = { ...this.#response, status: 'failed', store: false, error: { code, message } };
      return [this.#lifecycle('response.failed')];
    });
  }

  /** Numbers the events, and opens the stream before the first of them. */
  #tell(write: () => ItemEvent[]): ResponseEvent[] {
    const opening = this.#hasBegun
      ? []
      : [this.#lifecycle('response.created'), this.#lifecycle('response.in_progress')];
    this.#hasBegun = true;
    return [...opening, ...write()].map((event) => ({ ...event, sequence_number: this.#sequence++ }));
  }

  #lifecycle = (type: string): ItemEvent => ({ type, response: this.response });

  #takeDelta(
    { content, refusal, tool_calls, reasoning, reasoning_content }: Delta,
    logprobs: readonly TokenLogprob[],
  ): ItemEvent[] {
    const events: ItemEvent[] = [];
    const thought = reasoning_content ?? reasoning;
    if (isText(thought)) events.push(...this.#speak('reasoning', thought));
    if (isText(content)) events.push(...this.#speak('output_text', content, logprobs));
    else if (logprobs.length > 0 && this.#output.growing('output_text') !== undefined) {
      // Some come after their text.
      events.push(...this.#speak('output_text', '', logprobs));
    }
    if (isText(refusal)) events.push(...this.#speak('refusal', refusal));
    for (const call of tool_calls ?? []) events.push(...this.#calls.take(call));
    return events;
  }

  /** A piece of the item that is being written, or of a new one. */
  #speak(
    kind: 'output_text' | 'refusal' | 'reasoning',
    piece: string,
    logprobs: readonly TokenLogprob[] = [],
  ): ItemEvent[] {
    const growing = this.#output.growing(kind);
    if (growing !== undefined) return this.#output.append(growing, piece, logprobs);
    const ended = this.#output.endSpoken();
    const open =
      kind === 'reasoning' ? openReasoning(this.#idOf('rs')) : openMessage(this.#idOf('msg'), kind);
    const { placed, events } = this.#output.add(open);
    return [...ended, ...events, ...(piece === '' ? [] : this.#output.append(placed, piece, logprobs))];
  }

  #finish({ finish_reason, citations, token_usage }: TurnFinished): ItemEvent[] {
    const reason = CUT_OFF[finish_reason] ?? null;
    const status = reason === null ? 'completed' : 'incomplete';
    // An answer of no text is an answer.
    const empty = this.#output.size === 0 ? this.#speak('output_text', '') : [];
    const ended = this.#output.endAll({ status, citations });
    this.#response = {
      ...this.#response,
      status,
      completed_at: status === 'completed' ? Math.floor(this.#now() / 1_000) : null,
      incomplete_details: reason === null ? null : { reason },
      usage: usageOf(token_usage),
    };
    return [...empty, ...ended, this.#lifecycle(`response.${status}`)];
  }
}

/** Reasons to finish that mean that the answer is not whole. */
const CUT_OFF: Readonly<Record<string, 'max_output_tokens' | 'content_filter'>> = {
  length: 'max_output_tokens',
  content_filter: 'content_filter',
};

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
