/**
 * Whether any object of a JSON text names a key twice. `JSON.parse` keeps the last one and other parsers the
 * first, so a token with two `sub` claims means different users to different readers (RFC 8725, section 2.5;
 * RFC 7519, section 4 lets a verifier refuse it). The text must be valid JSON: it was parsed before.
 */
export function hasDuplicateKeys(json: string): boolean {
  const scopes: (Set<string> | null)[] = [];
  let keyExpected = false;
  for (let i = 0; i < json.length; i++) {
    const character = json[i];
    if (character === '"') {
      const start = i;
      for (i++; json[i] !== '"'; i++) {
        if (i >= json.length) return true;
        if (json[i] === '\\') i++;
      }
      const scope = scopes.at(-1);
      if (keyExpected && scope) {
        // Decoded, because "s\u0075b" and "sub" are one key.
        const key: unknown = JSON.parse(json.slice(start, i + 1));
        if (typeof key !== 'string' || scope.has(key)) return true;
        scope.add(key);
        keyExpected = false;
      }
    } else if (character === '{') {
      scopes.push(new Set());
      keyExpected = true;
    } else if (character === '[') {
      scopes.push(null);
      keyExpected = false;
    } else if (character === '}' || character === ']') {
      scopes.pop();
      keyExpected = false;
    } else if (character === ',') {
      keyExpected = scopes.at(-1) !== null;
    }
  }
  return false;
}
