/**
 * JSON whose texts PostgreSQL can store: NUL and halves of surrogate pairs, which clients may send as names of models, become
 * U+FFFD. Most values hold neither, and are written once.
 */
export function stringifyStorable(value: unknown): string {
  const json = JSON.stringify(value);
  // Both are escaped: https://tc39.es/ecma262/#sec-quotejsonstring
  return json.includes('\\u') ? JSON.stringify(value, storable) : json;
}

const storable = (_key: string, value: unknown): unknown =>
  typeof value === 'string' ? value.toWellFormed().replaceAll('\0', '\uFFFD') : value;
