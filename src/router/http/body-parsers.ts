import { setImmediate as turnOfLoop } from 'node:timers/promises';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { parseJsonStrictly } from '#app/http/strict-json-parser.ts';
import { atOnce } from '#app/in-slices.ts';
import { isAdministration } from '#router/http/is-administration.ts';
import { refuseCrowdedBody } from '#router/http/refuse-crowded-body.ts';
import type { RefusedBodies } from '#router/http/refused-bodies.ts';
import { findState } from '#router/http/request-state.ts';

/** Bytes of a body that is parsed, checked and validated in turns of their own: each takes some milliseconds for 100 KB. */
const LARGE_BODY = 16_384;

/** Deep enough for any honest body; recursion over the parsed value stays far from the stack's end. */
const MAX_DEPTH = 64;

/** JSON is the only body that is parsed, and strictly. Everything else is 415, unless a route adds its own. */
export function addBodyParsers(app: FastifyInstance, refusedBodies: RefusedBodies): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer' },
    (request: FastifyRequest, body: Buffer, done) => {
      const fail = (error: unknown) =>
        done(error instanceof Error ? error : new Error('The body cannot be parsed.', { cause: error }));
      const steps = parseBody(request, body, refusedBodies);
      if (body.length > LARGE_BODY) {
        stepByStep(steps).then((value) => done(null, value), fail);
        return;
      }
      let value: unknown;
      try {
        value = atOnce(steps);
      } catch (error) {
        fail(error);
        return;
      }
      done(null, value);
    },
  );
  // It has been validated; what the route makes of it begins in a turn of its own.
  app.addHook('preHandler', (request, _reply, done) => {
    if (Number(request.headers['content-length'] ?? 0) > LARGE_BODY) setImmediate(done);
    else done();
  });
  app.addHook('preParsing', (request, _reply, payload, done) => done(flawOfHeaders(request), payload));
}

/** Each step of reading a body in a turn of the event loop of its own. */
async function stepByStep<Result>(steps: Generator<void, Result>): Promise<Result> {
  for (;;) {
    const step = steps.next();
    await turnOfLoop();
    if (step.done === true) return step.value;
  }
}

function* parseBody(
  request: FastifyRequest,
  body: Buffer,
  refusedBodies: RefusedBodies,
): Generator<void, unknown> {
  // Clients that always send a content type send it with an empty DELETE, too, and where no body is wanted.
  const isWanted = request.method !== 'DELETE' && request.routeOptions.schema?.body !== undefined;
  if (body.length === 0 && !isWanted) return undefined;
  const state = findState(request);
  if (state?.principal?.kind === 'tenant') {
    state.unadmittedBytes = body.length;
    refusedBodies.add(state.principal.context.tenantId, body.length);
  }
  refuseCrowdedBody(body);
  yield;
  const value = parseJsonStrictly(body);
  yield;
  refuseHostileValue(value, isAdministration(request) ? flawOfStored : flawOfAny);
  return value;
}

function flawOfHeaders({ headers }: FastifyRequest): BulkheadError | null {
  const { 'content-encoding': encoding, 'content-type': type } = headers;
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    return new BulkheadError('unsupported_media_type', 'Compressed bodies are not accepted.', {
      param: 'content-encoding',
    });
  }
  if (type === undefined || type === 'application/json') return null;
  const charset = /;\s*charset\s*=\s*"?([^";\s]+)/i.exec(type)?.[1];
  if (charset === undefined || /^(?:utf-?8|us-ascii)$/i.test(charset)) return null;
  return new BulkheadError('unsupported_media_type', 'Bodies are UTF-8.', { param: 'content-type' });
}

/** NUL ends strings elsewhere, and PostgreSQL refuses it. */
const flawOfAny = (text: string): string | null =>
  text.includes('\u0000') ? 'must not hold a NUL character' : null;

/**
 * PostgreSQL refuses half a character too. What administrators write is stored as it is; clients that chat send them where
 * they cut texts, so there they are taken.
 */
const flawOfStored = (text: string): string | null =>
  flawOfAny(text) ?? (text.isWellFormed() ? null : 'must not hold half a surrogate pair');

/** What a text must not hold, and nesting without an end, which ends stacks. Names the field. */
function refuseHostileValue(root: unknown, flawOf: (text: string) => string | null): void {
  const found = findFlaw(root, flawOf, 0);
  if (found === null) return;
  const { path, flaw } = found;
  if (flaw === 'depth') {
    throw new BulkheadError('invalid_request', `The body is nested more than ${MAX_DEPTH} deep.`, {
      param: path.slice(0, 3).join('.'),
    });
  }
  const param = path.join('.');
  const message = flaw.isOfKey ? `A key ${flaw.text}.` : `${param}: ${flaw.text}`;
  throw new BulkheadError('invalid_request', message, { param });
}

type Flaw = 'depth' | Readonly<{ isOfKey: boolean; text: string }>;

/** The first flaw and the way to it, which is written down on the way back: a body has more places than are worth naming. */
function findFlaw(
  value: unknown,
  flawOf: (text: string) => string | null,
  depth: number,
): { path: string[]; flaw: Flaw } | null {
  if (typeof value === 'string') {
    const text = flawOf(value);
    return text === null ? null : { path: [], flaw: { isOfKey: false, text } };
  }
  if (typeof value !== 'object' || value === null) return null;
  if (depth >= MAX_DEPTH) return { path: [], flaw: 'depth' };
  if (Array.isArray(value)) {
    for (let place = 0; place < value.length; place++) {
      const item: unknown = value[place];
      // Lists of tokens have a million numbers.
      if (typeof item === 'number') continue;
      const found = findFlaw(item, flawOf, depth + 1);
      if (found !== null) return under(String(place), found);
    }
    return null;
  }
  for (const [key, child] of Object.entries(value)) {
    const text = flawOf(key);
    if (text !== null) return { path: [], flaw: { isOfKey: true, text } };
    const found = findFlaw(child, flawOf, depth + 1);
    if (found !== null) return under(key, found);
  }
  return null;
}

function under<Found extends { path: string[] }>(key: string, found: Found): Found {
  found.path.unshift(key);
  return found;
}
