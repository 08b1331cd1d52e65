import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { carriesTokens } from '#app/schemas/chat-completion-chunk.ts';
import type { TokenUsage } from '#app/schemas/token-usage.ts';
import type { TurnEvent } from '#app/schemas/turn.ts';
import type { RequestUsage } from '#router/http/request-state.ts';
import { costOf } from '#router/ledger/price.ts';
import type { PriceBook } from '#router/ledger/price-book.ts';

/**
 * Passes a turn's events on and keeps the request's usage up to date, so that it is right whenever the turn
 * ends. What is for the request log alone goes no further. Until the engine reports its count, every piece that carries text counts as one token: what a client took
 * before it left is not free. The events are asked for only once it is written down that the turn begins. Throws where
 * a turn ends without its last event.
 */
export async function* observeTurn(
  events: AsyncIterable<TurnEvent>,
  usage: RequestUsage,
  prices: Pick<PriceBook, 'priceOf'>,
): AsyncGenerator<TurnEvent, void> {
  // One price for the whole turn, whatever is changed meanwhile.
  let price = prices.priceOf(usage.model);
  let pieces = 0;
  let isReported = false;
  const { explained } = usage;
  const count = ({
    prompt_tokens,
    completion_tokens,
  }: Pick<TokenUsage, 'prompt_tokens' | 'completion_tokens'>) => {
    usage.tokens = { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens };
    usage.costUsd = costOf(price, usage.tokens);
    usage.priceVersion = price.version;
    usage.meter.advance();
  };
  const advance = (reported: TokenUsage | null | undefined) => {
    isReported ||= (reported ?? null) !== null;
    if (reported) count(reported);
    else if (!isReported) count({ prompt_tokens: 0, completion_tokens: pieces });
  };
  await usage.meter.begin();
  for await (const event of events) {
    switch (event.type) {
      case 'started':
        usage.route = event.route;
        if (usage.model !== event.model) price = prices.priceOf(event.model);
        usage.model = event.model;
        explained.engine = event.engine;
        usage.meter.advance();
        break;
      case 'retrieved':
        usage.chunkIds = event.citations.map(({ chunk_id }) => chunk_id);
        explained.retrieved = event.citations.map(({ chunk_id, score }) => ({ chunk_id, score }));
        break;
      case 'asked':
        explained.attempts = event.attempts;
        continue;
      case 'delta':
        pieces += 1;
        advance(event.token_usage);
        explained.answer?.take(event.text);
        break;
      case 'chunk': {
        const text = event.chunk.choices[0]?.delta.content;
        if (typeof text === 'string') explained.answer?.take(text);
        const { usage: reported, choices } = event.chunk;
        for (const { delta } of choices) if (carriesTokens(delta)) pieces += 1;
        if (choices.length > 0) advance(reported);
        break;
      }
      case 'finished':
        count(event.token_usage);
        usage.refusalReason = event.refusal_reason;
        explained.finishReason = event.finish_reason;
        explained.firstTokenMs = event.timings.first_token_ms;
        explained.generateMs = event.timings.generate_ms;
        if (explained.retrieved !== null) explained.retrieveMs = event.timings.retrieve_ms;
        usage.chunkIds = event.chunk_ids;
        usage.citedChunkIds = event.citations.map(({ chunk_id }) => chunk_id);
        yield event;
        return;
    }
    yield event;
  }
  throw new BulkheadError('engine_error', 'The answer broke off.');
}
