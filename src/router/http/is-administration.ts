import type { FastifyRequest } from 'fastify';
import { findState } from '#router/http/request-state.ts';

/**
 * Whether a request is for a route under `/admin`. By the pattern of the route that it reached: a URL has other spellings of
 * it, such as `/%61dmin/tenants` and `http://any.host/admin/tenants`. Where it reached none, by the URL as it came.
 */
export function isAdministration(request: FastifyRequest): boolean {
  const path = findState(request)?.usage.explained.path || request.url;
  return path === '/admin' || path.startsWith('/admin/');
}
