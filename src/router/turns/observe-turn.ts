import { carriesTokens } from '#app/schemas/chat-completion-chunk.ts';
import type { TokenUsage } from '#app/schemas/token-usage.ts';
import type { TurnBatch, TurnEvent } from '#app/schemas/turn.ts';
import type { RequestUsage } from '#router/http/request-state.ts';
import type { PriceBook } from '#router/ledger/price-book.ts';

/**
 * Keeps a request's usage up to date while its turn runs, so that it is right whenever the turn ends. Until the engine reports
 * its count, every piece that carries text counts as one token: what a client took before it left is not free.
 */
export class TurnObserver {
  readonly #usage: RequestUsage;
  readonly #prices: Pick<PriceBook, 'priceOf'>;
  /** One price for the whole turn, whatever is changed meanwhile. */
  #price: ReturnType<PriceBook['priceOf']>;
  #pieces = 0;
  #isReported = false;
  #isFinished = false;

  constructor(usage: RequestUsage, prices: Pick<PriceBook, 'priceOf'>) {
    this.#usage = usage;
    this.#prices = prices;
    this.#price = prices.priceOf(usage.model);
  }

  /** Whether the turn's last event was taken. */
  get isFinished(): boolean {
    return this.#isFinished;
  }

  /** Counts events, up to the last one of the turn. What is for the request log alone goes no further. */
  take(events: TurnBatch): TurnBatch {
    const passed: TurnEvent[] = [];
    for (const event of events) {
      if (this.#isFinished) break;
      this.#observe(event);
      if (event.type !== 'asked') passed.push(event);
    }
    this.#usage.meter.advance();
    return passed;
  }

  #observe(event: TurnEvent): void {
    const usage = this.#usage;
    const { explained } = usage;
    switch (event.type) {
      case 'started':
        usage.route = event.route;
        if (usage.model !== event.model) this.#price = this.#prices.priceOf(event.model);
        usage.model = event.model;
        explained.engine = event.engine;
        return;
      case 'retrieved':
        usage.chunkIds = event.citations.map(({ chunk_id }) => chunk_id);
        explained.retrieved = event.citations.map(({ chunk_id, score }) => ({ chunk_id, score }));
        return;
      case 'asked':
        explained.attempts = event.attempts;
        usage.price = this.#price;
        usage.untoldTokens = usage.promptTokens;
        return;
      case 'delta':
        this.#pieces += 1;
        this.#advance(event.token_usage);
        explained.answer?.take(event.text);
        return;
      case 'chunk': {
        const { usage: reported, choices } = event.chunk;
        const text = choices[0]?.delta.content;
        if (typeof text === 'string') explained.answer?.take(text);
        for (const { delta } of choices) if (carriesTokens(delta)) this.#pieces += 1;
        if (choices.length > 0) this.#advance(reported);
        return;
      }
      case 'finished':
        this.#isFinished = true;
        this.#count(event.token_usage);
        usage.refusalReason = event.refusal_reason;
        explained.finishReason = event.finish_reason;
        explained.firstTokenMs = event.timings.first_token_ms;
        explained.generateMs = event.timings.generate_ms;
        if (explained.retrieved !== null) explained.retrieveMs = event.timings.retrieve_ms;
        usage.chunkIds = event.chunk_ids;
        usage.citedChunkIds = event.citations.map(({ chunk_id }) => chunk_id);
    }
  }

  #advance(reported: TokenUsage | null | undefined): void {
    if (reported) {
      this.#isReported = true;
      this.#count(reported);
    } else if (!this.#isReported) this.#count({ prompt_tokens: 0, completion_tokens: this.#pieces });
  }

  #count({
    prompt_tokens,
    completion_tokens,
  }: Pick<TokenUsage, 'prompt_tokens' | 'completion_tokens'>): void {
    const usage = this.#usage;
    usage.tokens = { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens };
    if (prompt_tokens > 0) usage.untoldTokens = 0;
    usage.price = this.#price;
  }
}
