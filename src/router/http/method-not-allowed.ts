import type { FastifyInstance, HTTPMethods } from 'fastify';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { sendError } from '#router/http/error-handler.ts';

const METHODS: readonly HTTPMethods[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

/**
 * Remembers the methods of every path under this instance; the function that it gives then answers all other
 * methods of these paths with 405 and `Allow`. Call it when all routes are there.
 */
export function trackMethods(app: FastifyInstance): () => void {
  const known = new Map<string, Set<string>>();
  app.addHook('onRoute', ({ url, method }) => {
    const methods = known.get(url) ?? new Set();
    for (const one of Array.isArray(method) ? method : [method]) methods.add(one);
    known.set(url, methods);
  });
  return () => {
    for (const [url, methods] of [...known]) {
      const others = METHODS.filter((method) => !methods.has(method));
      const allow = METHODS.filter((method) => methods.has(method)).join(', ');
      if (others.length === 0 || url.includes('*')) continue;
      app.route({
        method: others,
        url,
        schema: { hide: true },
        // No body is read for a method that does not exist.
        onRequest: async (request, reply) => {
          reply.header('allow', allow);
          return sendError(
            request,
            reply,
            new BulkheadError('method_not_allowed', `${request.method} is not allowed here.`),
          );
        },
        handler: async () => undefined,
      });
    }
  };
}
