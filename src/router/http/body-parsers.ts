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
      refuseHostileValue(value, isStored(request.url) ? flawOfStored : flawOfAny);
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

/** NUL ends strings elsewhere, and PostgreSQL refuses it. */
const flawOfAny = (text: string): string | null =>
  text.includes('\u0000') ? 'must not hold a NUL character' : null;

/** PostgreSQL refuses half a character too. Clients that chat send them where they cut texts, so there they are taken. */
const flawOfStored = (text: string): string | null =>
  flawOfAny(text) ?? (text.isWellFormed() ? null : 'must not hold half a surrogate pair');

/** What administrators write is stored as it is. */
const isStored = (url: string): boolean => url.startsWith('/admin/');

/** What a text must not hold, and nesting without an end, which ends stacks. Names the field. */
function refuseHostileValue(root: unknown, flawOf: (text: string) => string | null): void {
  const pending: [value: unknown, path: string, depth: number][] = [[root, '', 0]];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const [value, path, depth] = next;
    const flaw = typeof value === 'string' ? flawOf(value) : null;
    if (flaw !== null) throw new BulkheadError('invalid_request', `${path}: ${flaw}`, { param: path });
    if (typeof value !== 'object' || value === null) continue;
    if (depth >= MAX_DEPTH) {
      throw new BulkheadError('invalid_request', `The body is nested more than ${MAX_DEPTH} deep.`, {
        param: path.split('.', 3).join('.'),
      });
    }
    for (const [key, child] of Object.entries(value)) {
      const here = path === '' ? key : `${path}.${key}`;
      const flawOfKey = flawOf(key);
      if (flawOfKey !== null)
        throw new BulkheadError('invalid_request', `A key ${flawOfKey}.`, { param: path });
      // Numbers, booleans and short plain strings need no turn of the loop.
      if (typeof child === 'object' || (typeof child === 'string' && flawOf(child) !== null)) {
        pending.push([child, here, depth + 1]);
      }
    }
  }
}
