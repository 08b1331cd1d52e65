/** Text that PostgreSQL can hold: without NUL, and without half of a surrogate pair, which jsonb refuses. */
export const storableText = (text: string): string => text.replaceAll('\0', '').toWellFormed();
