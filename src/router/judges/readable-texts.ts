/** Binary content inside JSON: not text, and large. */
const BINARY_DATA_URL = /^data:(?!text\/)[a-z0-9.+-]+\/[a-z0-9.+-]+;base64,[A-Za-z0-9+/=_-]*$/i;
/** Words of the protocol, under the names of the protocol. */
const PROTOCOL = new Set(['role', 'type', 'id', 'tool_call_id', 'index', 'format', 'detail']);
const WORD = /^[\w.:-]{0,64}$/;
/** Names such as those of fields and functions. */
const IDENTIFIER = /^[A-Za-z_$][A-Za-z_$-]{0,24}$/;
const MAX_DEPTH = 64;

/**
 * The texts of a value in their order, as a model reads them: parts of one content joined, and JSON inside strings, such as
 * tool arguments, also without its escapes. Throws a `RangeError` where the value is nested too deeply.
 */
export function readableTexts(value: unknown, name = '', depth = 0): string[] {
  if (depth > MAX_DEPTH) throw new RangeError('The request is nested too deeply to be judged.');
  if (typeof value === 'string') return textsOfString(value, name, depth);
  if (Array.isArray(value)) {
    const texts: string[] = [];
    let joined = '';
    for (const item of value) {
      if (isTextPart(item)) joined += item.text;
      const rest = isTextPart(item)
        ? Object.fromEntries(Object.entries(item).filter(([key]) => key !== 'text'))
        : item;
      texts.push(...readableTexts(rest, name, depth + 1));
    }
    return joined === '' ? texts : [joined, ...texts];
  }
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) => [
    ...(IDENTIFIER.test(key) ? [] : [key]),
    ...readableTexts(item, key, depth + 1),
  ]);
}

function textsOfString(text: string, name: string, depth: number): string[] {
  if (text.trim() === '' || BINARY_DATA_URL.test(text) || (PROTOCOL.has(name) && WORD.test(text))) return [];
  // The text as it is too: of a name that comes twice, reading keeps one.
  const inner = text.includes('\\') ? innerJson(text) : null;
  return inner === null ? [text] : [text, ...readableTexts(inner, '', depth + 1)];
}

function innerJson(text: string): object | null {
  if (!/^\s*[[{]/.test(text)) return null;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : null;
  } catch {
    return null;
  }
}

const isTextPart = (part: unknown): part is { text: string } =>
  typeof part === 'object' && part !== null && 'text' in part && typeof part.text === 'string';
