import { type BulkheadError, notFound } from '#app/errors/bulkhead-error.ts';

/** What a path parameter names. */
const OBJECTS: Readonly<Record<string, string>> = {
  tenant_id: 'tenant',
  key_id: 'key',
  document_id: 'document',
  file_id: 'file',
  vector_store_id: 'vector store',
  response_id: 'response',
  conversation_id: 'conversation',
  user_id: 'member',
  version: 'version',
  invitation_id: 'invitation',
  request_id: 'request',
};

/**
 * The one 404 of a path that names an object: whichever part of it does not exist, is another's or cannot
 * exist, and whoever noticed. null for paths that name none.
 */
export function missingObject(routeUrl: string | undefined): BulkheadError | null {
  const name = routeUrl?.match(/:(\w+)(?!.*:)/)?.[1];
  const what = name === undefined ? undefined : OBJECTS[name];
  return name === undefined || what === undefined ? null : notFound(what, name);
}
