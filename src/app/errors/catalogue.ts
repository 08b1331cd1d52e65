/** How an error is rendered. `type` is the OpenAI error type that the official SDKs know. */
export type ErrorKind = Readonly<{ status: number; type: string; title: string; retryable: boolean }>;

const kind = (status: number, type: string, title: string, retryable = false): ErrorKind => ({
  status,
  type,
  title,
  retryable,
});

/** Every error that leaves Bulkhead, by its stable code. `docs/errors.md` is kept equal to this by a test. */
export const ERROR_CATALOGUE = {
  invalid_request: kind(400, 'invalid_request_error', 'The request is not valid'),
  malformed_json: kind(400, 'invalid_request_error', 'The body is not valid JSON'),
  invalid_encoding: kind(400, 'invalid_request_error', 'The body is not valid UTF-8'),
  unreadable_document: kind(422, 'invalid_request_error', 'The document cannot be read'),
  unsupported_media_type: kind(415, 'invalid_request_error', 'The content type is not supported'),
  body_too_large: kind(413, 'invalid_request_error', 'The body is too large'),
  missing_credential: kind(401, 'authentication_error', 'No credential was sent'),
  invalid_credential: kind(401, 'authentication_error', 'The credential is not valid'),
  tenant_mismatch: kind(403, 'permission_error', 'The tenant named is not the credential’s tenant'),
  user_mismatch: kind(403, 'permission_error', 'The user named is not the credential’s user'),
  tenant_disabled: kind(403, 'permission_error', 'The tenant is disabled'),
  not_a_member: kind(403, 'permission_error', 'The user is not a member of the tenant'),
  address_not_allowed: kind(403, 'permission_error', 'The credential may not be used from this address'),
  missing_scope: kind(403, 'permission_error', 'The credential lacks a scope'),
  route_not_allowed: kind(403, 'permission_error', 'The tenant’s policy does not allow this route'),
  model_not_allowed: kind(403, 'permission_error', 'The tenant’s policy does not allow this model'),
  tool_blocked: kind(403, 'permission_error', 'The tenant’s policy blocks this tool'),
  guardrail_refused: kind(403, 'permission_error', 'A guardrail refused the content'),
  not_found: kind(404, 'invalid_request_error', 'There is no such object'),
  model_not_found: kind(404, 'invalid_request_error', 'There is no such model'),
  method_not_allowed: kind(405, 'invalid_request_error', 'The method is not allowed here'),
  conflict: kind(409, 'invalid_request_error', 'The object is in a state that does not allow this'),
  idempotency_key_reused: kind(
    422,
    'invalid_request_error',
    'The idempotency key was used for another request',
  ),
  precondition_failed: kind(412, 'invalid_request_error', 'The object was changed by somebody else'),
  rate_limit_exceeded: kind(429, 'rate_limit_error', 'A rate limit was reached', true),
  tenant_overloaded: kind(429, 'rate_limit_error', 'The tenant has too many calls under way', true),
  budget_exceeded: kind(429, 'insufficient_quota', 'The budget is spent'),
  storage_exceeded: kind(413, 'insufficient_quota', 'The tenant’s storage is full'),
  client_closed: kind(499, 'invalid_request_error', 'The client left before the answer was complete'),
  internal_error: kind(500, 'server_error', 'Something failed inside'),
  engine_error: kind(502, 'server_error', 'The inference engine failed', true),
  engine_unavailable: kind(503, 'server_error', 'The inference engine cannot be reached', true),
  engine_overloaded: kind(503, 'server_error', 'The inference engine has no capacity', true),
  engine_timeout: kind(504, 'server_error', 'The inference engine took too long', true),
  context_length_exceeded: kind(400, 'invalid_request_error', 'The text is longer than the model reads'),
  previous_response_not_found: kind(400, 'invalid_request_error', 'There is no such response to go on from'),
  engine_rejected: kind(400, 'invalid_request_error', 'The inference engine rejected the request'),
  service_unavailable: kind(503, 'server_error', 'A service that is needed cannot be reached', true),
  overloaded: kind(503, 'server_error', 'The service has no capacity left', true),
  storage_full: kind(503, 'server_error', 'The server’s storage is full', true),
  storage_unavailable: kind(503, 'server_error', 'The server’s storage cannot be used', true),
  shutting_down: kind(503, 'server_error', 'The service is shutting down', true),
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERROR_CATALOGUE;

export const isErrorCode = (value: unknown): value is ErrorCode =>
  typeof value === 'string' && Object.hasOwn(ERROR_CATALOGUE, value);
