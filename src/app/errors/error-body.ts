import { z } from 'zod';
import type { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { ERROR_CATALOGUE } from '#app/errors/catalogue.ts';

export const refusalSchema = z.object({
  policy: z.string(),
  limit: z.number().optional(),
  current: z.number().optional(),
  resets_at: z.string().optional(),
});

/** The OpenAI error envelope, with the request id and the explained refusal beside it. Used under `/v1`. */
export const openAIErrorSchema = z.object({
  error: z.object({
    message: z.string(),
    type: z.string(),
    param: z.string().nullable(),
    code: z.string(),
    request_id: z.string().optional(),
    refusal: refusalSchema.optional(),
    retry_after_ms: z.number().optional(),
  }),
});
export type OpenAIErrorBody = z.infer<typeof openAIErrorSchema>;

/** RFC 9457 problem details. Used under `/admin`. */
export const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number(),
  detail: z.string(),
  code: z.string(),
  instance: z.string().optional(),
  param: z.string().optional(),
  refusal: refusalSchema.optional(),
});
export type ProblemBody = z.infer<typeof problemSchema>;

export function openAIErrorBody(error: BulkheadError, requestId?: string): OpenAIErrorBody {
  return {
    error: {
      message: error.message,
      type: ERROR_CATALOGUE[error.code].type,
      param: error.param ?? null,
      code: error.code,
      ...(requestId === undefined ? {} : { request_id: requestId }),
      ...(error.refusal === undefined ? {} : { refusal: error.refusal }),
      ...(error.retryAfterMs === undefined ? {} : { retry_after_ms: error.retryAfterMs }),
    },
  };
}

export function problemBody(error: BulkheadError, requestId?: string): ProblemBody {
  const { status, title } = ERROR_CATALOGUE[error.code];
  return {
    type: `urn:bulkhead:error:${error.code}`,
    title,
    status,
    detail: error.message,
    code: error.code,
    ...(requestId === undefined ? {} : { instance: `urn:bulkhead:request:${requestId}` }),
    ...(error.param === undefined ? {} : { param: error.param }),
    ...(error.refusal === undefined ? {} : { refusal: error.refusal }),
  };
}
