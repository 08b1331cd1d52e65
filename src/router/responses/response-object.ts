import { z } from 'zod';
import type { TokenUsage } from '#app/schemas/token-usage.ts';
import type { ResponseRequest } from '#router/responses/response-request-schema.ts';
import type { ResponseObject, ResponseUsage } from '#router/responses/response-schema.ts';

/** A response that has only begun: what the client asked for is repeated in it, as the API does. */
export function newResponse(options: {
  body: ResponseRequest;
  id: string;
  /** Seconds since 1970. */
  created: number;
  /** Whether it is to be kept. */
  store: boolean;
}): ResponseObject {
  const { body, id, created, store } = options;
  return {
    id,
    object: 'response',
    created_at: created,
    completed_at: null,
    status: 'in_progress',
    error: null,
    incomplete_details: null,
    model: body.model,
    system_fingerprint: null,
    output: [],
    usage: null,
    store,
    background: false,
    instructions: body.instructions ?? null,
    max_output_tokens: body.max_output_tokens ?? null,
    metadata: body.metadata ?? {},
    parallel_tool_calls: body.parallel_tool_calls ?? true,
    previous_response_id: body.previous_response_id ?? null,
    reasoning: { effort: body.reasoning?.effort ?? null, summary: null },
    temperature: body.temperature ?? null,
    text: { format: body.text?.format ?? { type: 'text' } },
    tool_choice: body.tool_choice ?? 'auto',
    tools: body.tools ?? [],
    top_logprobs: body.top_logprobs ?? 0,
    top_p: body.top_p ?? null,
    truncation: 'disabled',
  };
}

const count = z.int().nonnegative().catch(0);
const detailsSchema = z.object({
  prompt_tokens_details: z.object({ cached_tokens: count }).catch({ cached_tokens: 0 }),
  completion_tokens_details: z.object({ reasoning_tokens: count }).catch({ reasoning_tokens: 0 }),
});

/** The engine's counts by this API's names. */
export function usageOf(usage: TokenUsage): ResponseUsage {
  const details = detailsSchema.parse(usage);
  return {
    input_tokens: usage.prompt_tokens,
    // Clients that check what they get want the latter as well; no engine says it.
    input_tokens_details: { ...details.prompt_tokens_details, cache_write_tokens: 0 },
    output_tokens: usage.completion_tokens,
    output_tokens_details: details.completion_tokens_details,
    total_tokens: usage.prompt_tokens + usage.completion_tokens,
  };
}
