import { BulkheadError, notFound } from '#app/errors/bulkhead-error.ts';
import { DEFAULT_COLLECTION } from '#app/schemas/collection.ts';
import type { Scope, TenantContext } from '#app/tenant-context.ts';

/** Where an upload goes. A collection that the credential does not reach is answered as one that is not there. */
export function collectionFor({ collections }: TenantContext, asked: string | undefined): string {
  if (collections === null) return asked ?? DEFAULT_COLLECTION;
  if (asked !== undefined) {
    if (!collections.includes(asked)) throw notFound('collection', 'collection');
    return asked;
  }
  const [only, ...others] = collections;
  if (collections.includes(DEFAULT_COLLECTION)) return DEFAULT_COLLECTION;
  if (only !== undefined && others.length === 0) return only;
  throw new BulkheadError('invalid_request', 'collection: the key has several; name one of them', {
    param: 'collection',
  });
}

/** Throws `missing_scope`. */
export function requireScope(context: TenantContext, scope: Scope, param?: string): void {
  if (context.scopes.includes(scope)) return;
  throw new BulkheadError('missing_scope', `The credential lacks the scope ${scope}.`, {
    ...(param === undefined ? {} : { param }),
  });
}
