import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { streamSafe } from '#app/stream-safe.ts';

const SOURCES = fileURLToPath(new URL('..', import.meta.url));

/** Characters of every kind that normalisation treats differently. */
const character = fc.constantFrom(
  ...[
    'a',
    ' ',
    'é',
    'ﷺ',
    '각',
    'ᄀ',
    'ᅡ',
    '\u0301',
    '\u0316',
    '\u0345',
    '\uff9e',
    '\u200d',
    '\u034f',
    '\u00ad',
  ],
  ...['\u{1d165}', '\u{e0041}', '\u{1f600}', '\ud800', '\udc00'],
);
const MARKS = /[\p{M}\uff9e\uff9f\p{Default_Ignorable_Code_Point}\p{Cf}]+/gu;

describe('streamSafe', () => {
  it('leaves languages as they are, and a letter with thirty marks', () => {
    const texts = ['plain', 'Tiếng Việt', 'नमस्ते दुनिया', 'สวัสดีครับ', 'שָׁלוֹם', `z${'\u0301'.repeat(30)}`, ''];
    for (const text of texts) expect(streamSafe(text)).toBe(text);
  });

  it('cuts every run of marks to thirty, wherever it is, and nothing else', () => {
    const run = fc.array(character, { maxLength: 60 }).map((some) => some.join(''));
    const long = fc.constantFrom('\u0301', '\u0316\u0301', '\uff9e', '\u200d').map((unit) => unit.repeat(70));
    fc.assert(
      fc.property(fc.array(fc.oneof(run, long), { maxLength: 6 }), (parts) => {
        const text = parts.join('');
        const expected = text.replace(MARKS, (marks) => [...marks].slice(0, 30).join(''));
        expect(streamSafe(text)).toBe(expected);
        expect(streamSafe(expected)).toBe(expected);
      }),
    );
  });

  it('keeps normalisation from taking time with the square of a run', () => {
    // Unbounded, this takes minutes of one native call, which not even the test’s time limit ends.
    const text = `a${'\u0301\u0316\u0345'.repeat(500_000)}`;
    for (const form of ['NFC', 'NFD', 'NFKC', 'NFKD']) {
      expect(streamSafe(text).normalize(form).length).toBeLessThan(100);
    }
  });

  it('is passed by every text that is normalised', async () => {
    const files = (await readdir(SOURCES, { recursive: true })).filter(
      (file) => file.endsWith('.ts') && !file.endsWith('.test.ts'),
    );
    const unsafe: string[] = [];
    for (const file of files) {
      const source = await readFile(join(SOURCES, file), 'utf8');
      if (source.includes('.normalize(') && !source.includes('#app/stream-safe.ts')) unsafe.push(file);
    }
    // Of one letter, and of a name of a thousand bytes at most.
    expect(unsafe.sort()).toEqual([
      'router/guardrails/normalise/fold.ts',
      'router/uploads/checked-filename.ts',
    ]);
  });
});
