import { BulkheadError } from '#app/errors/bulkhead-error.ts';

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false });

/** Keys that reach an object's prototype when an object is copied carelessly. */
const PROTOTYPE_KEY = /"(?:__proto__|constructor|prototype)"/;

/**
 * Parses a body as JSON, strictly: bytes that are not UTF-8 are an error, not replaced characters, and a key
 * `__proto__` (or `constructor` holding `prototype`) is refused. Throws `invalid_encoding`, `malformed_json`
 * or `invalid_request`.
 */
export function parseJsonStrictly(body: Uint8Array): unknown {
  let text: string;
  try {
    text = decoder.decode(body);
  } catch (error) {
    throw new BulkheadError('invalid_encoding', 'The body is not valid UTF-8.', { cause: error });
  }
  if (text.trim() === '') throw new BulkheadError('malformed_json', 'The body is empty; JSON is expected.');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const detail = error instanceof Error ? positionOf(error.message) : '';
    throw new BulkheadError('malformed_json', `The body is not valid JSON${detail}.`, { cause: error });
  }
  // Escapes such as \u005f can spell the same keys, so the text is only a filter where it holds no backslash.
  if (PROTOTYPE_KEY.test(text) || text.includes('\\u')) refusePrototypeKeys(value, '');
  return value;
}

/** "at position 12" of the engine's message; the rest of it quotes the body, which is not repeated. */
function positionOf(message: string): string {
  const position = / at position (\d+)/.exec(message)?.[1];
  return position === undefined ? '' : ` (at character ${position})`;
}

function refusePrototypeKeys(root: unknown, path: string): void {
  // An explicit stack: the nesting of a hostile body is not the nesting of our calls.
  const pending: [value: unknown, path: string][] = [[root, path]];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const [value, at] = next;
    if (typeof value !== 'object' || value === null) continue;
    for (const key of Object.keys(value)) {
      const here = at === '' ? key : `${at}.${key}`;
      const child: unknown = Reflect.get(value, key);
      const reachesPrototype =
        key === '__proto__' ||
        (key === 'constructor' &&
          typeof child === 'object' &&
          child !== null &&
          Object.hasOwn(child, 'prototype'));
      if (reachesPrototype) {
        throw new BulkheadError('invalid_request', 'The body has a key that is not allowed.', {
          param: here,
        });
      }
      pending.push([child, here]);
    }
  }
}
