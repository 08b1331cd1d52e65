/** The most answers to one request; vLLM's own bound is 16,384. */
export const MAX_CHOICES = 8;

/**
 * Parameters of a client that an engine is given. A list of what may pass, because servers take more than OpenAI
 * documents: `cache_salt` and `priority` would touch other tenants, `chat_template` and `logits_processors` run
 * code, `prompt_embeds` loads tensors, `stream_options` is ours.
 */
export const ENGINE_PARAMETERS = [
  'tools',
  'tool_choice',
  'parallel_tool_calls',
  'response_format',
  'structured_outputs',
  'frequency_penalty',
  'presence_penalty',
  'repetition_penalty',
  'min_p',
  'top_k',
  'logit_bias',
  'logprobs',
  'top_logprobs',
  'reasoning_effort',
  'n',
] as const;
