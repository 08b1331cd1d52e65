import { BulkheadError, type RefusalExplanation } from '#app/errors/bulkhead-error.ts';
import { ERROR_CATALOGUE, type ErrorCode, isErrorCode } from '#app/errors/catalogue.ts';
import { openAIErrorSchema } from '#app/errors/error-body.ts';

/**
 * The header by which a service says what an error is about: `domain`, the client's request; `call`, the call between the two
 * services (its credential, body, route or schema), which the frame around the domain refused.
 */
export const ERROR_ORIGIN_HEADER = 'x-bulkhead-error-origin';
export const DOMAIN_ORIGIN = 'domain';
export const CALL_ORIGIN = 'call';

/** About the credential of a call: between services that is the internal token, never anything that the client sent. */
const CREDENTIAL_CODES: ReadonlySet<ErrorCode> = new Set(['missing_credential', 'invalid_credential']);

/**
 * Unmarked errors with these codes may still be the domain's: services of the release before marked nothing. Its other 4xx
 * codes came from the frame alone.
 */
const UNMARKED_DOMAIN_CODES: ReadonlySet<ErrorCode> = new Set([
  'invalid_request',
  'unreadable_document',
  'missing_scope',
  'tool_blocked',
  'not_found',
  'model_not_found',
  'conflict',
  'storage_exceeded',
  'context_length_exceeded',
  'engine_rejected',
  'client_closed',
]);
/** The message of an unknown path, which shares its code with a missing object. */
export const NO_SUCH_INTERNAL_ROUTE = 'There is no such route.';

/**
 * The error that a sibling service answered with, or `fault`, which says that the call between the services failed
 * although the client's request need not be wrong.
 */
export type InnerError =
  | Readonly<{ kind: 'error'; error: BulkheadError }>
  | Readonly<{ kind: 'fault'; code: string | null; message: string | null }>;

/** Reads an error answer. `origin` is the value of {@link ERROR_ORIGIN_HEADER}. */
export function readInnerError(body: unknown, origin: unknown): InnerError {
  const parsed = openAIErrorSchema.safeParse(body);
  if (!parsed.success) return { kind: 'fault', code: null, message: null };
  const { message, code, param, refusal, retry_after_ms } = parsed.data.error;
  if (!isErrorCode(code) || !mayPass(code, message, origin)) return { kind: 'fault', code, message };
  return {
    kind: 'error',
    error: new BulkheadError(code, message, {
      ...(param === null ? {} : { param }),
      ...(refusal === undefined ? {} : { refusal: refusal as RefusalExplanation }),
      ...(retry_after_ms === undefined ? {} : { retryAfterMs: retry_after_ms }),
    }),
  };
}

function mayPass(code: ErrorCode, message: string, origin: unknown): boolean {
  // The service says itself that it, or what it needs, failed.
  if (ERROR_CATALOGUE[code].status >= 500) return true;
  if (CREDENTIAL_CODES.has(code)) return false;
  if (origin !== undefined) return origin === DOMAIN_ORIGIN;
  return UNMARKED_DOMAIN_CODES.has(code) && message !== NO_SUCH_INTERNAL_ROUTE;
}
