import { JsonMeter } from '#app/http/json-meter.ts';

/** JSON inside a text: parsed, or, where it is too much to look at value by value, the text without its escapes. */
export type InnerJson = Readonly<{ value: object } | { text: string }>;

/**
 * Objects and lists only: a number or a quoted word gives nothing new. null where the text is no such JSON. What is read in one
 * piece has one meter.
 */
export function readInnerJson(text: string, meter: JsonMeter = new JsonMeter()): InnerJson | null {
  if (!/^\s*[[{]/.test(text)) return null;
  if (meter.take(text) !== null) return { text: unescaped(text) };
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { value } : null;
  } catch {
    return null;
  }
}

const CONTROLS: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

/** What JSON's escapes stand for, in the places where they stand. */
const unescaped = (text: string): string =>
  text.includes('\\')
    ? text.replace(/\\(?:u([0-9a-fA-F]{4})|(.))/gs, (_escape, hex?: string, character = '') =>
        hex === undefined
          ? (CONTROLS[character] ?? character)
          : String.fromCharCode(Number.parseInt(hex, 16)),
      )
    : text;
