import { describe, expect, test } from 'vitest';
import { splitUnits } from '#inference/extractive/split-units.ts';

const texts = (passage: string): string[] => splitUnits(passage).map(({ kind, text }) => `${kind}: ${text}`);

describe('sentences', () => {
  test('end at full stops, not at abbreviations, versions, code spans or link targets', () => {
    expect(
      texts(
        'Set a limit, e.g. 120 seconds. Version 3.15.2 of Dr. Smith uses `a. B` and [a link](x. Y). Is it new? It is! See Fig. 3.',
      ),
    ).toEqual([
      'sentence: Set a limit, e.g. 120 seconds.',
      'sentence: Version 3.15.2 of Dr. Smith uses `a. B` and [a link](x. Y).',
      'sentence: Is it new?',
      'sentence: It is!',
      'sentence: See Fig. 3.',
    ]);
  });

  test('run over hard line breaks and through block quotes', () => {
    expect(texts('One sentence over\ntwo lines. Another.\n\n> Quoted\n> text.')).toEqual([
      'sentence: One sentence over two lines.',
      'sentence: Another.',
      'sentence: Quoted text.',
    ]);
  });

  test('of scripts without spaces are split too', () => {
    expect(texts('これは文です。次の文です。')).toEqual([
      'sentence: これは文です。',
      'sentence: 次の文です。',
    ]);
  });
});

describe('headings', () => {
  test('name what is below them and are no unit', () => {
    expect(
      splitUnits('## The `limit`\n\nIt is 5.\n\nUnderlined\n----------\nMore text.').map(
        ({ heading, text }) => [heading, text],
      ),
    ).toEqual([
      ['The limit', 'It is 5.'],
      ['Underlined', 'More text.'],
    ]);
  });
});

describe('lists', () => {
  test('stay whole by item, with continuation lines, and share a block', () => {
    const units = splitUnits('Options:\n\n* `a` first. Still first.\n  and more\n* `b` second\n\nAfter.');
    expect(units.map(({ kind, text }) => `${kind}: ${text}`)).toEqual([
      'sentence: Options:',
      'item: `a` first. Still first. and more',
      'item: `b` second',
      'sentence: After.',
    ]);
    expect(units[1]?.block).toBe(units[2]?.block);
    expect(units[2]?.block).not.toBe(units[3]?.block);
  });
});

describe('tables', () => {
  test('go by rows that know their head', () => {
    const units = splitUnits('| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |');
    expect(units.map(({ kind, text, tableHead }) => [kind, text, tableHead])).toEqual([
      ['row', '| 1 | 2 |', '| a | b |\n|---|---|'],
      ['row', '| 3 | 4 |', '| a | b |\n|---|---|'],
    ]);
  });
});

describe('code blocks', () => {
  test('stay whole', () => {
    expect(texts('Use:\n\n```js\nconst a = 1.\n\nB();\n```\n\nDone.')).toEqual([
      'sentence: Use:',
      'code: ```js\nconst a = 1.\n\nB();\n```',
      'sentence: Done.',
    ]);
  });

  test('keep their own `>`, and lose those of a quote around them', () => {
    expect(texts('```sh\n> npm test\n```')).toEqual(['code: ```sh\n> npm test\n```']);
    expect(texts('> ```sh\n> npm test\n> ```')).toEqual(['code: ```sh\nnpm test\n```']);
  });

  test.each([
    ['end', 'Before.\n\n```js\nconst a = 1;', ['sentence: Before.']],
    ['start', 'const a = 1;\n```\n\nAfter.', ['sentence: After.']],
    [
      'end, after a whole one',
      'A.\n\n```js\none();\n```\n\nB.\n\n```js\ntwo();',
      ['sentence: A.', 'code: ```js\none();\n```', 'sentence: B.'],
    ],
  ])('that the passage cuts at its %s are left out', (_where, passage, expected) => {
    expect(texts(passage)).toEqual(expected);
  });
});

test('markup without words gives nothing', () => {
  expect(texts('<!-- a\ncomment -->\n\n<a id="x"></a>\n\n---\n\n[link]: http://example.com\n\n***')).toEqual(
    [],
  );
});

test('hostile input is split in linear time and bounded work', () => {
  for (const passage of [
    '>'.repeat(50_000),
    '`'.repeat(50_001),
    '<!--'.repeat(20_000),
    '| '.repeat(30_000),
    '. A'.repeat(30_000),
    '['.repeat(50_000),
    '*'.repeat(50_000),
    ' '.repeat(50_000),
  ]) {
    expect(Array.isArray(splitUnits(passage))).toBe(true);
  }
}, 20_000);
