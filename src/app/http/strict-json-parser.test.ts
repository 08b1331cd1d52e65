import { describe, expect, it } from 'vitest';
import { parseJsonStrictly } from '#app/http/strict-json-parser.ts';

const parse = (text: string) => parseJsonStrictly(Buffer.from(text));
const codeOf = (body: Uint8Array) => {
  try {
    parseJsonStrictly(body);
    return 'parsed';
  } catch (error) {
    return error instanceof Error && 'code' in error ? error.code : error;
  }
};

describe('parseJsonStrictly', () => {
  it('parses JSON', () => {
    expect(parse('{"a":[1,"ü",null]}')).toEqual({ a: [1, 'ü', null] });
  });

  it.each([
    ['nothing', ''],
    ['spaces', '  \n'],
    ['a cut object', '{"a":'],
    ['single quotes', "{'a':1}"],
    ['two values', '{} {}'],
    ['NaN', '{"a":NaN}'],
  ])('refuses %s', (_what, text) => {
    expect(codeOf(Buffer.from(text))).toBe('malformed_json');
  });

  it('says where, and repeats nothing of the body', () => {
    expect(() => parse('{"secret":"hunter2",}')).toThrow(
      /^The body is not valid JSON( \(at character \d+\))?\.$/,
    );
  });

  it.each([
    ['a lone continuation byte', [0x22, 0x80, 0x22]],
    ['an overlong slash', [0x22, 0xc0, 0xaf, 0x22]],
    ['a surrogate', [0x22, 0xed, 0xa0, 0x80, 0x22]],
    ['a cut character', [0x22, 0xe2, 0x82, 0x22]],
  ])('refuses %s', (_what, bytes) => {
    expect(codeOf(Uint8Array.from(bytes))).toBe('invalid_encoding');
  });

  it.each([
    ['plain', '{"a":{"__proto__":{"admin":true}}}', 'a.__proto__'],
    ['escaped', '{"\\u005f_proto__":{"admin":true}}', '__proto__'],
    ['through the constructor', '{"constructor":{"prototype":{"admin":true}}}', 'constructor'],
  ])('refuses a prototype key, %s', (_what, text, param) => {
    expect(() => parse(text)).toThrow(expect.objectContaining({ code: 'invalid_request', param }));
  });

  it('lets the word constructor be data', () => {
    expect(parse('{"constructor":"Acme Builders"}')).toEqual({ constructor: 'Acme Builders' });
  });

  it('survives deep nesting', () => {
    const deep = '['.repeat(5_000) + ']'.repeat(5_000);
    expect(Array.isArray(parse(deep))).toBe(true);
    expect(codeOf(Buffer.from(`{"\\u0061":${'{"a":'.repeat(3_000)}1${'}'.repeat(3_000)}}`))).toBe('parsed');
  });
});
