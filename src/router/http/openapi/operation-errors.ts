import type { ErrorCode } from '#app/errors/catalogue.ts';

/** What decides which errors an operation may answer with. */
export type OperationFacts = Readonly<{
  method: string;
  /** As the document writes it: `/v1/files/{file_id}`. */
  path: string;
  /** What its callers are counted as (`chat`, `vault`, `admin`, …); `public`: nobody is asked who they are. */
  countedAs: string;
  hasJsonBody: boolean;
  hasForm: boolean;
}>;

const ANY: readonly ErrorCode[] = [
  'invalid_request',
  'internal_error',
  'service_unavailable',
  'overloaded',
  'storage_full',
  'storage_unavailable',
  'shutting_down',
];
const BODY: readonly ErrorCode[] = [
  'malformed_json',
  'invalid_encoding',
  'body_too_large',
  'unsupported_media_type',
];
const CALLER: readonly ErrorCode[] = [
  'missing_credential',
  'invalid_credential',
  'tenant_mismatch',
  'user_mismatch',
  'tenant_disabled',
  'not_a_member',
  'address_not_allowed',
  'missing_scope',
  'rate_limit_exceeded',
  'tenant_overloaded',
];
const MODEL: readonly ErrorCode[] = ['model_not_allowed', 'model_not_found', 'budget_exceeded'];
const ENGINE: readonly ErrorCode[] = [
  'engine_rejected',
  'engine_error',
  'engine_unavailable',
  'engine_overloaded',
  'engine_timeout',
];
/** Beside what every caller may hear, by what the caller is counted as. */
const BY_KIND: Readonly<Record<string, readonly ErrorCode[]>> = {
  chat: [
    ...MODEL,
    ...ENGINE,
    'route_not_allowed',
    'tool_blocked',
    'guardrail_refused',
    'context_length_exceeded',
    'not_found',
    'conflict',
  ],
  embeddings: [...MODEL, 'route_not_allowed', 'guardrail_refused', 'context_length_exceeded'],
  models: [...ENGINE],
  search: ['route_not_allowed', 'guardrail_refused', 'not_found', 'conflict', 'context_length_exceeded'],
  vault: ['route_not_allowed'],
  conversations: ['route_not_allowed'],
  usage: ['route_not_allowed'],
  admin: [],
};
const IDEMPOTENT: readonly ErrorCode[] = ['conflict', 'idempotency_key_reused'];

/** What any caller of any operation may hear. */
const EXPECTED: ReadonlySet<ErrorCode> = new Set([...ANY, ...CALLER]);
export const isExpected = (code: ErrorCode): boolean => EXPECTED.has(code);

/** Operations under `/admin` that `If-Match` guards. */
export const takesIfMatch = ({ method, path }: Pick<OperationFacts, 'method' | 'path'>): boolean =>
  (method === 'PATCH' && path === '/admin/tenants/{tenant_id}') || path.endsWith('/restore');

/** POSTs under `/admin` and uploads: see `add-idempotent-answers.ts`. */
export const takesIdempotencyKey = ({ method, path }: Pick<OperationFacts, 'method' | 'path'>): boolean =>
  method === 'POST' && (path.startsWith('/admin/') || path === '/v1/vault/documents' || path === '/v1/files');

/**
 * Every code that an operation may answer with, sorted. Kept complete by the tests: each error that any of them meets must be
 * listed for its operation.
 */
export function errorsOf(facts: OperationFacts): ErrorCode[] {
  const { method, path, countedAs, hasJsonBody, hasForm } = facts;
  if (!/^\/(?:v1|admin)\//.test(path)) return [];
  const isAdmin = path.startsWith('/admin/');
  const codes = new Set<ErrorCode>(ANY);
  const add = (...more: readonly ErrorCode[]) => {
    for (const code of more) codes.add(code);
  };
  if (hasJsonBody) add(...BODY);
  if (hasForm) {
    add(
      'body_too_large',
      'unsupported_media_type',
      'invalid_encoding',
      'unreadable_document',
      'storage_exceeded',
    );
  }
  // An invitation's token is the credential, and one that comes along is looked at.
  add(...(countedAs === 'public' ? CALLER.filter((code) => code !== 'missing_scope') : CALLER));
  add(...(BY_KIND[countedAs] ?? []));
  if (/\{\w+\}/.test(path) || (isAdmin && path !== '/admin/prices')) add('not_found');
  if (path === '/v1/responses') add('previous_response_not_found');
  // What is shown again is judged again.
  if (path.startsWith('/v1/responses/') && method === 'GET') add('guardrail_refused');
  if (path === '/v1/models/{model}') add('model_not_found');
  if (isAdmin && method !== 'GET') add('conflict');
  if (takesIdempotencyKey(facts)) add(...IDEMPOTENT);
  if (takesIfMatch(facts)) add('precondition_failed');
  return [...codes].sort();
}
