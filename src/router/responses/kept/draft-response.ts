import type { FastifyRequest } from 'fastify';
import type { ResponseId } from '#app/ids.ts';
import type { TurnRequest } from '#app/schemas/turn.ts';
import { stateOf, tenantOf } from '#router/http/request-state.ts';
import type { ExpandedInput } from '#router/responses/kept/history.ts';
import { keepInput } from '#router/responses/kept/keep-input.ts';
import { type NewKeptResponse, promptBytes } from '#router/responses/kept/kept-response.ts';
import type { MessageSource } from '#router/responses/read-input.ts';
import type { ResponseRequest } from '#router/responses/response-request-schema.ts';
import type { ResponseObject } from '#router/responses/response-schema.ts';
import type { RouterServices } from '#router/router-services.ts';

/** What the client says of the response itself; none of it is for the model, or all of it was looked at with the turn. */
export const fieldsToGuard = ({ metadata, tools, tool_choice, text }: ResponseRequest) => ({
  metadata: metadata ?? {},
  tools: tools ?? [],
  tool_choice: tool_choice ?? 'auto',
  text: { format: text?.format ?? { type: 'text' } },
});

/**
 * All of a response that is to be kept but its answer, as the guardrails leave it. Throws `guardrail_refused` where a field
 * that no model reads holds what must not be kept.
 */
export async function draftResponse(options: {
  request: FastifyRequest;
  guardrails: RouterServices['guardrails'];
  responseId: ResponseId;
  body: ResponseRequest;
  history: ExpandedInput;
  /** As it runs. */
  turn: TurnRequest;
  sources: readonly MessageSource[];
}): Promise<(response: ResponseObject) => NewKeptResponse> {
  const { request, guardrails, responseId, body, history, turn, sources } = options;
  const { context, policy } = tenantOf(request);
  const { requestId, signal } = stateOf(request);
  const guarded = await guardrails.input.guardFields(
    { policy, context, requestId, signal },
    fieldsToGuard(body),
  );
  const input = keepInput({
    responseId,
    messages: turn.messages,
    sources,
    references: history.references,
    sent: typeof body.input === 'string' ? [] : body.input,
  });
  const place = sources.findIndex((source) => source.place.param === 'instructions');
  const instructions = place < 0 ? null : (turn.messages[place]?.content ?? null);

  return ({ id: _id, output, ...fields }) => {
    const kept = output.map(withoutLogprobs);
    const outputBytes = promptBytes(kept);
    return {
      responseId,
      previousResponseId: history.previousResponseId,
      depth: history.depth + 1,
      model: body.model,
      input,
      output: kept,
      fields: { ...fields, ...guarded, instructions },
      outputBytes,
      contextBytes: history.bytes + promptBytes(input) + outputBytes,
    };
  };
}

/** They are many times as long as the text, and nobody asks for them twice. */
function withoutLogprobs(item: ResponseObject['output'][number]): ResponseObject['output'][number] {
  if (item.type !== 'message') return item;
  const content = item.content.map((part) =>
    part.type === 'output_text' ? { ...part, logprobs: [] } : part,
  );
  return { ...item, content };
}
