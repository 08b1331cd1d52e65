/** Headers that services use among themselves, in any spelling that a proxy or framework may treat alike. */
const INTERNAL = /^x[-_]?bulkhead(?:[-_]|$)/i;

/** Who is asking, in spellings that we do not read and something behind us might. */
const DISGUISED_IDENTITY = /^x[-_]?(?:tenant|user)[-_]?id$/i;
const IDENTITY: ReadonlySet<string> = new Set(['x-tenant-id', 'x-user-id']);

/** Removes internal headers that came from outside, so that nothing behind can take them for ours. */
export function stripInternalHeaders(headers: Record<string, unknown>): void {
  for (const name of Object.keys(headers)) {
    if (INTERNAL.test(name) || (DISGUISED_IDENTITY.test(name) && !IDENTITY.has(name))) delete headers[name];
  }
}

/** Once it is known who is asking, nothing else may be told by these. */
export function stripIdentityHeaders(headers: Record<string, unknown>): void {
  for (const name of IDENTITY) delete headers[name];
}
