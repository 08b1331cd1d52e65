import cors from '@fastify/cors';
import type { FastifyInstance } from 'fastify';

/** What the answers tell beside their bodies; a page of another origin reads no other header. */
const EXPOSED_HEADERS = [
  'content-disposition',
  'etag',
  'idempotency-replayed',
  'location',
  'ratelimit',
  'ratelimit-policy',
  'retry-after',
  'retry-after-ms',
  'www-authenticate',
  'x-ratelimit-limit-requests',
  'x-ratelimit-limit-tokens',
  'x-ratelimit-remaining-requests',
  'x-ratelimit-remaining-tokens',
  'x-ratelimit-reset-requests',
  'x-ratelimit-reset-tokens',
  'x-request-id',
  'x-should-retry',
];
/** Seconds that a browser may remember the answer to its preflight request. */
const MAX_AGE_SECONDS = 600;

/**
 * Lets pages of these origins (or of all: `*`) read answers in a browser, by the CORS protocol of the Fetch standard. Never
 * with cookies: a credential is a header that the page itself must know. Add it before anything that refuses requests,
 * because a preflight request has no credential, and because refusals are answers too.
 */
export async function addCrossOrigin(app: FastifyInstance, origins: readonly string[]): Promise<void> {
  if (origins.length === 0) return;
  await app.register(cors, {
    origin: [...origins],
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    exposedHeaders: EXPOSED_HEADERS,
    maxAge: MAX_AGE_SECONDS,
    strictPreflight: false,
  });
}
