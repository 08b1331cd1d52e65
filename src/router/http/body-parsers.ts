import type { FastifyInstance, FastifyRequest } from 'fastify';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { parseJsonStrictly } from '#app/http/strict-json-parser.ts';

/** Deep enough for any honest body; recursion over the parsed value stays far from the stack's end. */
const MAX_DEPTH = 64;

/** JSON is the only body that is parsed, and strictly. Everything else is 415, unless a route adds its own. */
export function addBodyParsers(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer' },
    async (request: FastifyRequest, body: Buffer) => {
      // Clients that always send a content type send it with an empty DELETE, too.
      if (body.length === 0 && request.method === 'DELETE') return undefined;
      const value = parseJsonStrictly(body);
      refuseHostileValue(value);
      return value;
    },
  );
  app.addHook('preParsing', async (request) => {
    const { 'content-encoding': encoding, 'content-type': type } = request.headers;
    if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
      throw new BulkheadError('unsupported_media_type', 'Compressed bodies are not accepted.', {
        param: 'content-encoding',
      });
    }
    const charset = /;\s*charset\s*=\s*"?([^";\s]+)/i.exec(type ?? '')?.[1];
    if (charset !== undefined && !/^(?:utf-?8|us-ascii)$/i.test(charset)) {
      throw new BulkheadError('unsupported_media_type', 'Bodies are UTF-8.', { param: 'content-type' });
    }
  });
}

/** NUL ends strings elsewhere and PostgreSQL refuses it; endless nesting ends stacks. Names the field. */
function refuseHostileValue(root: unknown): void {
  const pending: [value: unknown, path: string, depth: number][] = [[root, '', 0]];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const [value, path, depth] = next;
    if (typeof value === 'string' && value.includes('\u0000')) {
      throw new BulkheadError('invalid_request', `${path}: must not hold a NUL character`, { param: path });
    }
    if (typeof value !== 'object' || value === null) continue;
    if (depth >= MAX_DEPTH) {
      throw new BulkheadError('invalid_request', `The body is nested more than ${MAX_DEPTH} deep.`, {
        param: path.split('.', 3).join('.'),
      });
    }
    for (const [key, child] of Object.entries(value)) {
      const here = path === '' ? key : `${path}.${key}`;
      if (key.includes('\u0000')) {
        throw new BulkheadError('invalid_request', 'A key must not hold a NUL character.', { param: path });
      }
      // Numbers, booleans and short plain strings need no turn of the loop.
      if (typeof child === 'object' || (typeof child === 'string' && child.includes('\u0000'))) {
        pending.push([child, here, depth + 1]);
      }
    }
  }
}
