import { BulkheadError } from '#app/errors/bulkhead-error.ts';

const MAX_PATH_CHARACTERS = 200;

/** A path that is no route's, named: most often a client's base URL is at fault. The query is not repeated. */
export function noSuchRoute({ method, url }: { method: string; url: string }): BulkheadError {
  const path = (url.split('?', 1)[0] ?? '').slice(0, MAX_PATH_CHARACTERS);
  const hint = /^\/(?:v1|admin)(?:\/|$)/.test(path) ? '' : ' Base URLs of OpenAI’s clients end in /v1.';
  return new BulkheadError('not_found', `There is no route ${method} ${path}.${hint}`);
}
