import type { FastifySchemaCompiler } from 'fastify';
import { z } from 'zod';
import { BulkheadError, notFound } from '#app/errors/bulkhead-error.ts';
import { fromZodError } from '#app/http/to-bulkhead-error.ts';

/** What a path parameter names. */
const OBJECTS: Readonly<Record<string, string>> = {
  tenant_id: 'tenant',
  key_id: 'key',
  document_id: 'document',
  conversation_id: 'conversation',
};

/**
 * Zod as Fastify's validator. What is wrong becomes a 400 that names the field; an id in the path that cannot
 * exist becomes the same 404 as an id that does not.
 */
export const validatorCompiler: FastifySchemaCompiler<z.ZodType> =
  ({ schema, httpPart }) =>
  (data: unknown) => {
    if (httpPart === 'body' && (data === undefined || data === null)) {
      return { error: new BulkheadError('invalid_request', 'A JSON body is needed.') };
    }
    const parsed = schema.safeParse(data);
    if (parsed.success) return { value: parsed.data };
    if (httpPart !== 'params') return { error: fromZodError(parsed.error) };
    // What the whole path names is its last parameter.
    const name = schema instanceof z.ZodObject ? Object.keys(schema.shape).at(-1) : undefined;
    return { error: notFound(OBJECTS[name ?? ''] ?? 'object') };
  };
