/** Headers that services use among themselves, in any spelling that a proxy or framework may treat alike. */
const INTERNAL = /^x[-_]?bulkhead(?:[-_]|$)/i;

/** Removes internal headers that came from outside, so that nothing behind can take them for ours. */
export function stripInternalHeaders(headers: Record<string, unknown>): void {
  for (const name of Object.keys(headers)) if (INTERNAL.test(name)) delete headers[name];
}
