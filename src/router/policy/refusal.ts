import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { ErrorCode } from '#app/errors/catalogue.ts';

/** A policy's no: which policy, and which field of the request, but never the text that it matched. */
export type Refusal = Readonly<{
  code: Extract<ErrorCode, 'route_not_allowed' | 'model_not_allowed' | 'tool_blocked' | 'guardrail_refused'>;
  /** As a path into TenantConfig: `sensitive_patterns.3`; or `key.models`, of the credential. */
  policy: string;
  message: string;
  param?: string;
}>;

export const refusalError = (refusal: Refusal): BulkheadError =>
  new BulkheadError(refusal.code, refusal.message, {
    refusal: { policy: refusal.policy },
    ...(refusal.param === undefined ? {} : { param: refusal.param }),
  });
