import type { z } from 'zod';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { deepestIssue, plainMessage } from '#app/errors/plain-message.ts';
import { environmentFault } from '#app/faults/environment-fault.ts';

/** The first problem of a zod error as a 400 that names the field; `prefix` says where the value came from. */
export function fromZodError(error: z.ZodError, prefix = ''): BulkheadError {
  const [first] = error.issues;
  if (first === undefined) return new BulkheadError('invalid_request', 'The request is not valid.');
  const issue = deepestIssue(first);
  const unknownKey = issue.code === 'unrecognized_keys' ? issue.keys[0] : undefined;
  const path = [...(prefix === '' ? [] : [prefix]), ...issue.path.map(String)];
  if (unknownKey !== undefined) path.push(unknownKey);
  const param = path.join('.');
  const message = unknownKey === undefined ? issue.message : 'is not a known field';
  const whole = /^(?:is|must) /.test(message) ? `The body ${message}.` : message;
  return new BulkheadError('invalid_request', param === '' ? whole : `${param}: ${message}`, {
    ...(param === '' ? {} : { param }),
    cause: error,
  });
}

/** Parses what a client sent; throws a 400 that names the field. */
export function parseRequest<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  prefix = '',
): z.output<Schema> {
  const parsed = schema.safeParse(value, { error: plainMessage });
  if (!parsed.success) throw fromZodError(parsed.error, prefix);
  return parsed.data;
}

const BY_FASTIFY_CODE: Readonly<Record<string, () => BulkheadError>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: () => new BulkheadError('body_too_large', 'The body is too large.'),
  FST_ERR_CTP_INVALID_MEDIA_TYPE: () =>
    new BulkheadError('unsupported_media_type', 'The content type is not supported here.', {
      param: 'content-type',
    }),
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: () =>
    new BulkheadError('invalid_request', 'The body’s length is not its Content-Length.', {
      param: 'content-length',
    }),
  FST_ERR_CTP_EMPTY_JSON_BODY: () =>
    new BulkheadError('malformed_json', 'The body is empty; JSON is expected.'),
};

/**
 * What a caller is told of any failure. Known errors stay; those of the framework and of the environment are translated;
 * everything else becomes one fixed `internal_error`, whose cause goes to the log alone.
 */
export function toBulkheadError(error: unknown): BulkheadError {
  if (error instanceof BulkheadError) return error;
  if (typeof error === 'object' && error !== null) {
    const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
    const known = BY_FASTIFY_CODE[code];
    if (known !== undefined) return known();
    // Errors of libraries have a statusCode too: that of another server, which says nothing about this request.
    const status = code.startsWith('FST_') && 'statusCode' in error ? error.statusCode : undefined;
    if (typeof status === 'number' && status >= 400 && status < 500) {
      return new BulkheadError('invalid_request', 'The request is not valid.', { cause: error });
    }
  }
  return (
    environmentFault(error) ??
    new BulkheadError('internal_error', 'Internal error. It was logged under the request id.', {
      cause: error,
    })
  );
}
