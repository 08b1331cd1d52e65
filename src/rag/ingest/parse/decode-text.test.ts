import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cleanText, decodeText } from '#rag/ingest/parse/decode-text.ts';

const file = { filename: 'notes.txt', mediaType: 'text/plain' };
const bytes = (text: string, encoding: BufferEncoding = 'utf8') => Buffer.from(text, encoding);
const invalid = (message: RegExp) =>
  expect.objectContaining({
    code: 'invalid_encoding',
    param: 'file',
    message: expect.stringMatching(message),
  });

describe('decodeText', () => {
  it('reads UTF-8 with and without its mark, and UTF-16 with its mark', () => {
    const big = bytes('\ufeffgrüße 🛳', 'utf16le').swap16();
    for (const each of [bytes('grüße 🛳'), bytes('\ufeffgrüße 🛳'), bytes('\ufeffgrüße 🛳', 'utf16le'), big]) {
      expect(decodeText(each, file)).toBe('grüße 🛳');
    }
  });

  it.each([
    ['a lone byte', bytes('caf\xe9 au lait', 'latin1')],
    ['a cut character', bytes('caf\xc3', 'latin1')],
    ['an overlong form', bytes('a\xc0\xafb and more', 'latin1')],
    ['a surrogate in UTF-8', bytes('a\xed\xa0\x80b and more', 'latin1')],
    ['half a pair in UTF-16', bytes('\ufeffab\ud83d', 'utf16le')],
    ['UTF-16 without its mark', bytes('plain text', 'utf16le')],
    ['binary data', Buffer.alloc(1_000)],
  ])('refuses %s, and names the file', (_what, content) => {
    expect(() => decodeText(content, file)).toThrow(invalid(/notes\.txt/));
  });

  it('believes a declared charset: of the media type, and of an HTML <meta>', () => {
    const latin1 = bytes('café “x”'.replace(/[“”]/g, ''), 'latin1');
    expect(decodeText(latin1, { ...file, mediaType: 'text/plain; charset=ISO-8859-1' })).toContain('café');
    const html = bytes('<meta charset="windows-1252"><p>caf\xe9 \x93x\x94</p>', 'latin1');
    expect(decodeText(html, file, { isHtml: true })).toContain('café “x”');
    expect(() => decodeText(html, file)).toThrow(invalid(/UTF-8/));
    expect(() => decodeText(bytes('x'), { ...file, mediaType: 'text/plain; charset=nonsense' })).toThrow(
      invalid(/nonsense/),
    );
  });

  it('replaces NUL and escape characters one for one', () => {
    expect(decodeText(bytes('Some text with a \0 and an \x1b[31m in it.'), file)).toBe(
      'Some text with a \ufffd and an \ufffd[31m in it.',
    );
  });

  it('says of white space that it is no text', () => {
    for (const content of [' \n\t\r\n ', '\ufeff']) {
      expect(() => decodeText(bytes(content), file)).toThrow(
        expect.objectContaining({ code: 'unreadable_document', param: 'file' }),
      );
    }
  });

  it('cleans any string to the same length, without NUL and lone surrogates', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.nat(0xffff).map((code) => String.fromCharCode(code)) }), (text) => {
        const clean = cleanText(text);
        expect(clean).toHaveLength(text.length);
        expect(clean.isWellFormed()).toBe(true);
        expect(clean).not.toContain('\0');
      }),
    );
  });
});
