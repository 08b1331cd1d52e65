import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { TurnEvent } from '#app/schemas/turn.ts';
import type { RequestUsage } from '#router/http/request-state.ts';
import { costOf, type Price } from '#router/ledger/price.ts';

/**
 * Passes a turn's events on and keeps the request's usage up to date, so that it is right whenever the turn
 * ends. Until the engine reports its count, every piece of text counts as one token: what a client took
 * before it left is not free. The events are asked for only once it is written down that the turn begins. Throws where
 * a turn ends without its last event.
 */
export async function* observeTurn(
  events: AsyncIterable<TurnEvent>,
  usage: RequestUsage,
  price: Price,
): AsyncGenerator<TurnEvent, void> {
  let pieces = 0;
  const { explained } = usage;
  const count = (prompt_tokens: number, completion_tokens: number) => {
    usage.tokens = { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens };
    usage.costUsd = costOf(price, usage.tokens);
    usage.meter.advance();
  };
  await usage.meter.begin();
  for await (const event of events) {
    switch (event.type) {
      case 'started':
        usage.route = event.route;
        usage.model = event.model;
        explained.engine = event.engine;
        usage.meter.advance();
        break;
      case 'retrieved':
        usage.chunkIds = event.citations.map(({ chunk_id }) => chunk_id);
        explained.retrieved = event.citations.map(({ chunk_id, score }) => ({ chunk_id, score }));
        break;
      case 'delta':
        count(0, ++pieces);
        explained.answer?.take(event.text);
        break;
      case 'chunk': {
        const text = event.chunk.choices[0]?.delta.content;
        if (typeof text === 'string') explained.answer?.take(text);
        const reported = event.chunk.usage;
        if (reported !== undefined && reported !== null)
          count(reported.prompt_tokens, reported.completion_tokens);
        else if (event.chunk.choices.length > 0) count(0, ++pieces);
        break;
      }
      case 'finished':
        count(event.token_usage.prompt_tokens, event.token_usage.completion_tokens);
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
