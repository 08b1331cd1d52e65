import { createHash } from 'node:crypto';
import { isAbsolute, join, relative, sep } from 'node:path';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { documentIdSchema, type TenantId, tenantIdSchema, type UserId, userIdSchema } from '#app/ids.ts';
import type { DocumentPlace } from '#rag/files/vault-files.ts';

/** File systems allow 255 bytes a name; user ids have up to 128 characters, and each may take three. */
const MAX_NAME_LENGTH = 200;

/**
 * A directory name for a user. Two users never share one, also where the file system ignores case: lower-case
 * letters, digits and hyphens stay, every other character becomes `_` and its two hex digits. Names that grow too
 * long end in `_h` and a SHA-256 instead, which no other name holds (`h` is no hex digit).
 */
export function directoryNameOfUser(userId: UserId): string {
  let name = '';
  for (const character of userId) {
    name += /[a-z0-9-]/.test(character)
      ? character
      : `_${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
  }
  if (name.length <= MAX_NAME_LENGTH) return name;
  return `${name.slice(0, 60)}_h${createHash('sha256').update(userId).digest('hex')}`;
}

/**
 * The directory of a tenant under `root`. Ids are validated where they enter; here again, because a path made of
 * an unchecked id reaches other tenants' files.
 */
export function tenantDirectory(root: string, tenantId: TenantId): string {
  if (!tenantIdSchema.safeParse(tenantId).success) throw unsafe('tenant_id');
  return inside(root, join(root, tenantId));
}

/** The directory of a document under `root`: see {@link tenantDirectory}. */
export function documentDirectory(root: string, place: DocumentPlace): string {
  if (!userIdSchema.safeParse(place.userId).success) throw unsafe('user_id');
  if (!documentIdSchema.safeParse(place.documentId).success) throw unsafe('document_id');
  const directory = tenantDirectory(root, place.tenantId);
  return inside(directory, join(directory, directoryNameOfUser(place.userId), place.documentId));
}

function inside(root: string, path: string): string {
  const way = relative(root, path);
  if (way === '' || isAbsolute(way) || way.split(sep).includes('..')) throw unsafe('path');
  return path;
}

const unsafe = (what: string) =>
  new BulkheadError('internal_error', 'A file path was refused.', {
    cause: new Error(`${what} is not safe in a path`),
  });
