import { BulkheadError } from '#app/errors/bulkhead-error.ts';

/** The most answers to one request; vLLM's own bound is 16,384. */
export const MAX_CHOICES = 8;

/**
 * Parameters of a client that an engine is given. A list of what may pass, because servers take more than OpenAI
 * documents: `cache_salt` and `priority` would touch other tenants, `chat_template` and `logits_processors` run
 * code, `prompt_embeds` loads tensors, `stream_options` is ours.
 */
const PASSED: ReadonlySet<string> = new Set([
  'tools',
  'tool_choice',
  'parallel_tool_calls',
  'functions',
  'function_call',
  'response_format',
  'structured_outputs',
  'logprobs',
  'top_logprobs',
  'logit_bias',
  'presence_penalty',
  'frequency_penalty',
  'repetition_penalty',
  'min_p',
  'top_k',
  'n',
  'reasoning_effort',
]);

/** The allowed ones of a client's parameters. Throws `invalid_request` where `n` is out of bounds. */
export function allowedParameters(
  parameters: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const { n } = parameters;
  if (n !== undefined && n !== null && !(Number.isInteger(n) && Number(n) >= 1 && Number(n) <= MAX_CHOICES)) {
    throw new BulkheadError('invalid_request', `n: must be a whole number from 1 to ${MAX_CHOICES}`, {
      param: 'n',
    });
  }
  return Object.fromEntries(
    Object.entries(parameters).filter(
      ([name, value]) => PASSED.has(name) && value !== undefined && value !== null,
    ),
  );
}
