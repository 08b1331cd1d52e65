const MAX_CHARACTERS = 200;
/** A place in a list, or a name as fields of the API have them. */
const PLAIN = /^(?:\d{1,6}|[A-Za-z_$][A-Za-z_$-]{0,39})$/;

/**
 * The path of a field without what its client wrote: the names of tool arguments, and of fields that nobody knows, may be
 * anything, and the log is to hold no text but the redacted one. A copy, so that nothing longer is kept in memory with it.
 */
export const plainParam = (param: string): string =>
  param
    .slice(0, MAX_CHARACTERS)
    .split('.')
    .map((name) => (PLAIN.test(name) ? name : '*'))
    .join('.');
