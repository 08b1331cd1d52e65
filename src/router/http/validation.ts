import type { FastifySchemaCompiler } from 'fastify';
import type { z } from 'zod';
import { BulkheadError, notFound } from '#app/errors/bulkhead-error.ts';
import { plainMessage } from '#app/errors/plain-message.ts';
import { fromZodError } from '#app/http/to-bulkhead-error.ts';

/**
 * Zod as Fastify's validator. What is wrong becomes a 400 that names the field; an id in the path that cannot
 * exist becomes a 404, which the error handler makes the same as that of an id that does not exist.
 */
export const validatorCompiler: FastifySchemaCompiler<z.ZodType> =
  ({ schema, httpPart }) =>
  (data: unknown) => {
    if (httpPart === 'body' && (data === undefined || data === null)) {
      return { error: new BulkheadError('invalid_request', 'A JSON body is needed.') };
    }
    const parsed = schema.safeParse(data, { error: plainMessage });
    if (parsed.success) return { value: parsed.data };
    return { error: httpPart === 'params' ? notFound('object') : fromZodError(parsed.error) };
  };
