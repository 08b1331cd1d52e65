/**
 * An example of each JSON body, by its operation. A test sends every one: the router takes them. Their tenant is `acme`, and
 * what they name is not there until it is made.
 */
const EXAMPLES: Readonly<Record<string, unknown>> = {
  'POST /v1/chat': { message: 'In which order do hooks run?', stream: false },
  'POST /v1/chat/completions': {
    model: 'bulkhead-rag',
    messages: [{ role: 'user', content: 'How do I register a plugin?' }],
  },
  'POST /v1/completions': { model: 'bulkhead-chat', prompt: 'Say hello.', max_tokens: 20 },
  'POST /v1/responses': { model: 'bulkhead-rag', input: 'How do I register a plugin?' },
  'POST /v1/embeddings': { model: 'bulkhead-embed', input: ['In which order do hooks run?'] },
  'POST /v1/vault/search': { query: 'onRequest hook', top_k: 3 },
  'POST /v1/vector_stores/{vector_store_id}/files': { file_id: `doc_${'0'.repeat(26)}` },
  'POST /v1/vector_stores/{vector_store_id}/search': { query: 'onRequest hook', max_num_results: 3 },
  'POST /admin/tenants': {
    tenant_id: 'hooli',
    display_name: 'Hooli',
    rate_limits: { requests_per_minute: 60 },
  },
  'PATCH /admin/tenants/{tenant_id}': {
    sensitive_patterns: [{ name: 'card', pattern: '\\b(?:\\d[ -]?){15,16}\\b' }],
  },
  'DELETE /admin/tenants/{tenant_id}': { confirm: 'hooli' },
  'PUT /admin/prices': {
    prices: [{ model: '*', usd_per_million_prompt_tokens: 0.15, usd_per_million_completion_tokens: 0.6 }],
  },
  'POST /admin/tenants/{tenant_id}/keys': { user_id: 'gavin', role: 'member', name: 'laptop' },
  'POST /admin/tenants/{tenant_id}/keys/{key_id}/rotate': { overlap_seconds: 3_600 },
  'POST /admin/tenants/{tenant_id}/members': { user_id: 'ada', role: 'member' },
  'PATCH /admin/tenants/{tenant_id}/members/{user_id}': { role: 'admin' },
  'POST /admin/tenants/{tenant_id}/members/invitations': { role: 'member', user_id: 'grace' },
  'POST /admin/tenants/{tenant_id}/members/accept': { token: `inv_${'0'.repeat(26)}_${'A'.repeat(43)}` },
  'POST /admin/policy/dry-run': {
    tenant_id: 'acme',
    config: { rate_limits: { requests_per_minute: 5 } },
    limit: 500,
  },
};

/** The example of `POST /v1/chat` and the like; undefined where there is none. */
export const bodyExampleOf = (operation: string): unknown => EXAMPLES[operation];
