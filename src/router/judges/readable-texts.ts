import { JsonMeter } from '#app/http/json-meter.ts';
import { readInnerJson } from '#router/policy/inner-json.ts';
import { isMedia } from '#router/policy/media-url.ts';

/** Words of the protocol, under the names of the protocol. */
const PROTOCOL = new Set(['role', 'type', 'id', 'tool_call_id', 'index', 'format', 'detail']);
const WORD = /^[\w.:-]{0,64}$/;
/** Names such as those of fields and functions. */
const IDENTIFIER = /^[A-Za-z_$][A-Za-z_$-]{0,24}$/;
const MAX_DEPTH = 64;
/** No field is called so. */
const IN_TEXT = '*';

/**
 * The texts of a value in their order, as a model reads them: parts of one content joined, and JSON inside strings, such as
 * tool arguments, also without its escapes. `path` is where the value is in the request, with dots; {@link IN_TEXT} for what stands inside of a text.
 * Throws a `RangeError` where the value is nested too deeply.
 */
export const readableTexts = (value: unknown, path = ''): string[] =>
  textsOf(value, path, 0, new JsonMeter());

function textsOf(value: unknown, path: string, depth: number, meter: JsonMeter): string[] {
  if (depth > MAX_DEPTH) throw new RangeError('The request is nested too deeply to be judged.');
  if (typeof value === 'string') return textsOfString(value, path, depth, meter);
  const at = (name: string | number) => (path === '' ? `${name}` : `${path}.${name}`);
  if (Array.isArray(value)) {
    const texts: string[] = [];
    let joined = '';
    for (const [index, item] of value.entries()) {
      if (isTextPart(item)) joined += item.text;
      const rest = isTextPart(item)
        ? Object.fromEntries(Object.entries(item).filter(([key]) => key !== 'text'))
        : item;
      texts.push(...textsOf(rest, at(index), depth + 1, meter));
    }
    return joined === '' ? texts : [joined, ...texts];
  }
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) => [
    ...(IDENTIFIER.test(key) ? [] : [key]),
    ...textsOf(item, at(key), depth + 1, meter),
  ]);
}

function textsOfString(text: string, path: string, depth: number, meter: JsonMeter): string[] {
  // Of a list the name that it goes by.
  const name = path.replace(/(?:\.\d+)+$/, '').replace(/^.*\./s, '');
  if (text.trim() === '' || isMedia(text, path) || (PROTOCOL.has(name) && WORD.test(text))) return [];
  // The text as it is too: of a name that comes twice, reading keeps one.
  const inner = text.includes('\\') ? readInnerJson(text, meter) : null;
  if (inner === null) return [text];
  return [text, ...('value' in inner ? textsOf(inner.value, IN_TEXT, depth + 1, meter) : [inner.text])];
}

const isTextPart = (part: unknown): part is { text: string } =>
  typeof part === 'object' && part !== null && 'text' in part && typeof part.text === 'string';
