import { ERROR_CATALOGUE, type ErrorCode } from '#app/errors/catalogue.ts';

/** Why a policy said no, in terms that the caller can act on. Rendered beside the error. */
export type RefusalExplanation = Readonly<{
  /** The policy that decided, e.g. `rate_limits.requests_per_minute` or `sensitive_patterns[2]`. */
  policy: string;
  /** The binding limit and its present value, where the policy is a number. */
  limit?: number;
  current?: number;
  /** When the limit frees up, ISO 8601. */
  resets_at?: string;
}>;

export type BulkheadErrorOptions = {
  /** The request field at fault, as a dotted path: `messages.0.content`. */
  param?: string;
  refusal?: RefusalExplanation;
  retryAfterMs?: number;
  cause?: unknown;
};

/** The one error type that crosses module borders. Its message is shown to the caller: no internals in it. */
export class BulkheadError extends Error {
  override readonly name = 'BulkheadError';
  readonly code: ErrorCode;
  readonly param: string | undefined;
  readonly refusal: RefusalExplanation | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, options: BulkheadErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.param = options.param;
    this.refusal = options.refusal;
    this.retryAfterMs = options.retryAfterMs;
  }

  get status(): number {
    return ERROR_CATALOGUE[this.code].status;
  }

  get retryable(): boolean {
    return ERROR_CATALOGUE[this.code].retryable;
  }
}

/** The same answer for an id of another tenant, of another user and of nobody. */
export const notFound = (what: string, param?: string): BulkheadError =>
  new BulkheadError('not_found', `There is no such ${what}.`, param === undefined ? {} : { param });

export const isAbort = (error: unknown): boolean =>
  error instanceof Error && (error.name === 'AbortError' || ('code' in error && error.code === 'ABORT_ERR'));
