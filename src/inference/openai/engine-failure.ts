import { z } from 'zod';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { AttemptFailure } from '#inference/retry.ts';

/** What a server said went wrong, in a response or in the middle of a stream. */
export type EngineComplaint = Readonly<{
  /** The HTTP status, or the code of an error inside a stream. */
  status: number;
  message: string | null;
  type: string | null;
  param: string | null;
  retryAfterMs?: number;
}>;

const text = z
  .string()
  .nullish()
  .transform((value) => value ?? null);

/** The number in `code`, where it is one; servers put names there too. */
const errorFields = {
  message: text,
  type: text,
  param: text,
  code: z
    .unknown()
    .transform((code) => (typeof code === 'number' && code >= 400 && code <= 599 ? code : null)),
};

const plainComplaint = (message: string, type: string | null = null) => ({
  message,
  type,
  param: null,
  code: null,
});

/**
 * The shapes in use: `{ error: { message, type, param, code } }` (OpenAI, vLLM, llama.cpp, Ollama),
 * `{ error: "…", error_type: "…" }` (TGI), `{ object: "error", message, type, code }` (vLLM before 0.10), and
 * `{ detail: "…" }` (FastAPI).
 */
const complaintSchema = z.union([
  z.object({ error: z.object(errorFields) }).transform(({ error }) => error),
  z
    .object({ error: z.string(), error_type: text })
    .transform(({ error, error_type }) => plainComplaint(error, error_type)),
  z.object({ object: z.literal('error'), ...errorFields }),
  z.object({ detail: z.string() }).transform(({ detail }) => plainComplaint(detail)),
]);

/** Reads an error object; null where the value is none. `status` is used where the error names no number. */
export function readComplaint(value: unknown, status: number): EngineComplaint | null {
  const parsed = complaintSchema.safeParse(value);
  if (!parsed.success) return null;
  const { message, type, param, code } = parsed.data;
  return { status: code ?? status, message, type, param };
}

const MAX_MESSAGE_CHARACTERS = 500;

/** What the server wrote, as one bounded line. */
const quote = (message: string | null): string => {
  const line = (message ?? '').replace(/\p{Cc}+/gu, ' ').trim();
  if (line === '') return '.';
  return `: ${line.length > MAX_MESSAGE_CHARACTERS ? `${line.slice(0, MAX_MESSAGE_CHARACTERS)}…` : line}`;
};

/**
 * A server's complaint in our words, with the decision whether trying again can help. Only what is about the
 * caller's own request is quoted to the caller; the rest is the cause, for the log.
 */
export function failureOf(complaint: EngineComplaint, model: string): AttemptFailure {
  const { status, message, type, param, retryAfterMs } = complaint;
  const cause = new Error(`The engine answered ${status}${quote(message)}`);
  const hint = retryAfterMs === undefined ? { cause } : { cause, retryAfterMs };
  // TGI's streams call every failure 422; its error type tells overload apart.
  if (status === 429 || status === 503 || type === 'overloaded' || type === 'overloaded_error') {
    return new AttemptFailure(
      new BulkheadError('engine_overloaded', 'The inference engine has no capacity now.', hint),
      true,
    );
  }
  if (status === 502) {
    return new AttemptFailure(
      new BulkheadError('engine_unavailable', 'The inference engine cannot be reached.', hint),
      true,
    );
  }
  if (status === 504 || status === 408) {
    return new AttemptFailure(
      new BulkheadError('engine_timeout', 'The inference engine took too long.', hint),
      status === 504,
    );
  }
  if (status === 404 && isAboutModel(complaint)) {
    return new AttemptFailure(
      new BulkheadError('model_not_found', `The inference engine has no model ${model}.`, {
        param: 'model',
        cause,
      }),
      false,
    );
  }
  if (status === 400 || status === 413 || status === 422 || isRefusedAsOwnFault(complaint)) {
    const rejected = `The inference engine rejected the request${quote(message)}`;
    const options = param === null ? { cause } : { cause, param };
    const code = isTooLong(complaint) ? 'context_length_exceeded' : 'engine_rejected';
    return new AttemptFailure(new BulkheadError(code, rejected, options), false);
  }
  const failure = new BulkheadError('engine_error', 'The inference engine failed.', { cause });
  // Ours to mend, not the caller's: it is never passed on as a 401.
  if (status === 401 || status === 403) return new CredentialRefused(failure);
  return new AttemptFailure(failure, false);
}

/** The server refused the key that the platform sent. With a newer key another try may succeed. */
export class CredentialRefused extends AttemptFailure {
  constructor(failure: BulkheadError) {
    super(failure, false);
  }
}

/** llama.cpp says 500 to requests that it cannot read, and to kinds of content that its model does not take. */
const REFUSED_AS_OWN_FAULT = /^(?:Failed to parse |\w+ input is not supported)/;

const isRefusedAsOwnFault = ({ status, message }: EngineComplaint): boolean =>
  status === 500 && REFUSED_AS_OWN_FAULT.test(message ?? '');

const isAboutModel = ({ message, type, param }: EngineComplaint): boolean =>
  param === 'model' || type === 'model_not_found' || /\bmodel\b/i.test(message ?? '');

/** llama.cpp's type; the words of vLLM, OpenAI and Ollama; those of TGI. */
const TOO_LONG =
  /context (?:length|size|window)|must have less than \d+ tokens|`inputs` tokens \+ `max_new_tokens`/i;

const isTooLong = ({ message, type }: EngineComplaint): boolean =>
  type === 'exceed_context_size_error' || type === 'context_length_exceeded' || TOO_LONG.test(message ?? '');

/** Codes of a connection that was never made, or that was cut: the server cannot have answered. */
const CONNECTION_CODES: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_SOCKET',
]);

/** A failure of the connection itself. */
export function connectionFailure(error: unknown, answerHadBegun: boolean): AttemptFailure {
  if (error instanceof AttemptFailure) return error;
  if (error instanceof BulkheadError) return new AttemptFailure(error, false);
  if (answerHadBegun) {
    return new AttemptFailure(
      new BulkheadError('engine_error', 'The inference engine broke off its answer.', { cause: error }),
      true,
    );
  }
  return new AttemptFailure(
    new BulkheadError('engine_unavailable', 'The inference engine cannot be reached.', { cause: error }),
    CONNECTION_CODES.has(codeOf(error)),
  );
}

/** The system's code of an error; of the first inner one where several addresses were tried. */
function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return '';
  if ('code' in error && typeof error.code === 'string') return error.code;
  return error instanceof AggregateError ? codeOf(error.errors[0]) : '';
}

/** Whoever asks for a longer wait than a day has no time in mind, and infinity is no number in JSON. */
const MAX_RETRY_AFTER_MS = 86_400_000;

/** Milliseconds that a server asks to wait: `retry-after-ms`, or `retry-after` in seconds or as a date. */
export function retryAfterOf(
  headers: Readonly<Record<string, string | string[] | undefined>>,
  now: number,
): number | undefined {
  const exact = Number(headers['retry-after-ms'] ?? Number.NaN);
  if (Number.isFinite(exact)) return bounded(exact);
  const value = headers['retry-after'];
  if (typeof value !== 'string') return undefined;
  const seconds = Number(value);
  if (Number.isFinite(seconds)) return bounded(seconds * 1_000);
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : bounded(date - now);
}

const bounded = (milliseconds: number): number => Math.min(Math.max(0, milliseconds), MAX_RETRY_AFTER_MS);
