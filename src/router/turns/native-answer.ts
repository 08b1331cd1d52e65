import type { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { openAIErrorBody } from '#app/errors/error-body.ts';
import type { MultiTenantChatResponse } from '#app/schemas/multi-tenant-chat-request.ts';
import type { TurnBatch, TurnEvent, TurnFinished } from '#app/schemas/turn.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import { costOfUsage, type RequestUsage } from '#router/http/request-state.ts';
import { sseEvent } from '#router/http/sse-writer.ts';

type Started = Extract<TurnEvent, { type: 'started' }>;

/** Gathers a turn's events into the answer of `POST /v1/chat`. */
class NativeAnswer {
  #started: Started | undefined;
  #finished: TurnFinished | undefined;
  #text = '';

  take(event: TurnEvent): void {
    if (event.type === 'started') this.#started = event;
    else if (event.type === 'delta') this.#text += event.text;
    else if (event.type === 'finished') this.#finished = event;
  }

  toResponse(context: TenantContext, usage: RequestUsage, latencyMs: number): MultiTenantChatResponse {
    const started = this.#started;
    const finished = this.#finished;
    if (started === undefined || finished === undefined || started.conversation_id === null) {
      throw new Error('The turn has no start, no end or no conversation.');
    }
    return {
      request_id: context.requestId,
      tenant_id: context.tenantId,
      user_id: context.userId,
      conversation_id: started.conversation_id,
      route: started.route,
      model: started.model,
      engine: started.engine,
      answer: this.#text,
      citations: finished.citations,
      chunk_ids: finished.chunk_ids,
      finish_reason: finished.finish_reason,
      refusal_reason: finished.refusal_reason,
      token_usage: finished.token_usage,
      cost_usd_estimate: costOfUsage(usage),
      latency_ms: latencyMs,
    };
  }
}

export type NativeTurn = Readonly<{
  events: AsyncIterable<TurnBatch>;
  context: TenantContext;
  usage: RequestUsage;
  /** Milliseconds since the request began. */
  elapsed: () => number;
}>;

/** The whole answer at once. */
export async function nativeAnswer(turn: NativeTurn): Promise<MultiTenantChatResponse> {
  const answer = new NativeAnswer();
  for await (const events of turn.events) for (const event of events) answer.take(event);
  return answer.toResponse(turn.context, turn.usage, turn.elapsed());
}

/** Named events as they come; the last is `answer`, the same object that the unstreamed call returns. */
export async function* nativeFrames(turn: NativeTurn): AsyncGenerator<string, string> {
  const answer = new NativeAnswer();
  const { context } = turn;
  for await (const events of turn.events) {
    let frames = '';
    for (const event of events) {
      answer.take(event);
      if (event.type === 'started') {
        const { conversation_id, route, model, engine } = event;
        frames += sseEvent('started', {
          request_id: context.requestId,
          conversation_id,
          route,
          model,
          engine,
        });
      } else if (event.type === 'retrieved') {
        frames += sseEvent('retrieved', { citations: event.citations });
      } else if (event.type === 'delta') {
        frames += sseEvent('delta', { text: event.text });
      }
    }
    if (frames !== '') yield frames;
  }
  return sseEvent('answer', answer.toResponse(context, turn.usage, turn.elapsed()));
}

export const nativeErrorFrame = (error: BulkheadError, requestId: string): string =>
  sseEvent('error', openAIErrorBody(error, requestId));
