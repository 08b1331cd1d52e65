import { globSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { fromMarkdown } from 'mdast-util-from-markdown';
import { describe, expect, it } from 'vitest';
import { parseMarkdown } from '#rag/ingest/parse/parse-markdown.ts';

const page = (text: string) => {
  const [only] = parseMarkdown(text).pages;
  if (only === undefined) throw new Error('no page');
  return only;
};
const blocks = (text: string) =>
  page(text).blocks.map(({ kind, start, end }) => [kind, text.slice(start, end)]);
const titles = (text: string) => page(text).headings.map((heading) => heading.title);

describe('parseMarkdown', () => {
  it('keeps the text as it is and finds its blocks', () => {
    const text =
      '# Guide #\r\n\r\nSome *text*\r\nof two lines.\r\n\r\n- one\r\n- two\r\n\r\n  more\r\n\r\n```js\r\n# not a heading\r\n```\r\n\r\n| a | b |\r\n| - | - |\r\n| 1 | 2 |\r\n\r\nEnd\r\n===\r\n';
    expect(page(text).text).toBe(text);
    expect(blocks(text)).toEqual([
      ['heading', '# Guide #'],
      ['paragraph', 'Some *text*\r\nof two lines.'],
      ['list', '- one\r\n- two\r\n\r\n  more'],
      ['code', '```js\r\n# not a heading\r\n```'],
      ['table', '| a | b |\r\n| - | - |\r\n| 1 | 2 |'],
      ['heading', 'End\r\n==='],
    ]);
    expect(page(text).headings.map(({ level, title }) => [level, title])).toEqual([
      [1, 'Guide'],
      [1, 'End'],
    ]);
  });

  it('takes code out of lists and quotes, and goes on after it', () => {
    expect(
      blocks('1. one\n\n   ```sh\n   run\n\n   it\n   ```\n\n2. two\n\n> quoted\n> ```\n> code\n\nafter'),
    ).toEqual([
      ['list', '1. one'],
      ['code', '   ```sh\n   run\n\n   it\n   ```'],
      ['list', '2. two'],
      ['paragraph', '> quoted'],
      ['code', '> ```\n> code'],
      ['paragraph', 'after'],
    ]);
  });

  it('reads titles without their markup', () => {
    expect(
      titles(
        '## The `reply.send()` *method* <a id="send"></a>\n\n# [Link](http://x) & snake_case_name \\*\n',
      ),
    ).toEqual(['The reply.send() method', 'Link & snake_case_name *']);
  });

  it('takes the title from the front matter, and leaves that out of the blocks', () => {
    const text = '---\ntitle: "A: guide"\ntags: [x]\n---\n# Other\n\nText.';
    expect(parseMarkdown(text).title).toBe('A: guide');
    expect(blocks(text)).toEqual([
      ['heading', '# Other'],
      ['paragraph', 'Text.'],
    ]);
    expect(parseMarkdown('+++\ntitle = "T"\n+++\nText').title).toBe('T');
    expect(parseMarkdown('---\nnot closed\n\n# One').title).toBe('One');
  });

  it('leaves out comments, markup without text, rules and link definitions', () => {
    const text =
      '<!-- a\n\n# comment -->\n\n<p align="center">\n<img src="x">\n</p>\n\n***\n\n<div>Kept</div>\n\n<a id="x"></a>\n\n[a]: http://x\n[b]: http://y "t"\n\nText [a].';
    expect(blocks(text)).toEqual([
      ['paragraph', '<div>Kept</div>'],
      ['paragraph', 'Text [a].'],
    ]);
  });

  it('finds exactly the headings and code blocks that the reference parser finds, in real documentation', () => {
    const lineStart = (text: string, offset: number) => text.lastIndexOf('\n', offset - 1) + 1;
    const files = ['fastify', 'undici', 'zod', 'pino', 'vitest', 'micromark', 'unpdf', 'mammoth', 'yauzl']
      .flatMap((name) => globSync([`node_modules/${name}/*.md`, `node_modules/${name}/docs/**/*.md`]))
      .map((path) => [path, readFileSync(path, 'utf8').replace(/^\ufeff/, '')] as const)
      .filter(([, text]) => !text.startsWith('---'));
    expect(files.length).toBeGreaterThan(20);
    for (const [path, text] of files) {
      const headings: number[][] = [];
      const code: number[] = [];
      const walk = (node: ReturnType<typeof fromMarkdown>['children'][number], depth: number) => {
        const at = lineStart(text, node.position?.start.offset ?? -1);
        if (node.type === 'heading' && depth === 0) headings.push([node.depth, at]);
        if (node.type === 'code') code.push(at);
        if ('children' in node) for (const child of node.children) walk(child, depth + 1);
      };
      for (const node of fromMarkdown(text).children) walk(node, 0);
      const parsed = page(text);
      const found = parsed.headings.map(({ level, offset }) => [level, lineStart(text, offset)]);
      expect(found, path).toEqual(headings);
      const isRawHtml = (start: number) => /^\s*<pre/.test(text.slice(start));
      const foundCode = parsed.blocks.filter(({ kind, start }) => kind === 'code' && !isRawHtml(start));
      expect(
        foundCode.map(({ start }) => lineStart(text, start)),
        path,
      ).toEqual(code);
    }
  });

  it('gives blocks that are in order, inside the text, and start with its headings, for any input', () => {
    const piece = fc.constantFrom(
      ...[
        '# ',
        '## h',
        '- ',
        '1. ',
        '> ',
        '```',
        '~~~',
        '    ',
        '\t',
        '\n',
        '\n\n',
        '|a|b|',
        '|-|-|',
        '---',
        '===',
      ],
      ...[
        '<div>',
        '</div>',
        '<!--',
        '-->',
        '<pre>',
        '[a]: b',
        'word',
        'more words',
        '\r\n',
        '\r',
        '*',
        '---\n',
        '+++\n',
      ],
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
        const text = pieces.join('');
        const parsed = page(text);
        let lastEnd = 0;
        for (const { start, end } of parsed.blocks) {
          expect(start).toBeGreaterThanOrEqual(lastEnd);
          expect(end).toBeGreaterThan(start);
          expect(end).toBeLessThanOrEqual(text.length);
          lastEnd = end;
        }
        const starts = new Set(
          parsed.blocks.filter(({ kind }) => kind === 'heading').map(({ start }) => start),
        );
        expect(parsed.headings.every(({ offset }) => starts.has(offset))).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  it.each([
    ['a line of 4 MB', 'word '.repeat(800_000)],
    ['quotes in quotes', '> '.repeat(500_000)],
    ['deep quotes on many lines', `${'> '.repeat(100)}a\n`.repeat(5_000)],
    ['lists in lists', '- '.repeat(500_000).concat('x')],
    [
      'lists indented ever deeper',
      Array.from({ length: 1_500 }, (_, depth) => `${' '.repeat(depth)}- a`).join('\n'),
    ],
    ['opened brackets', '['.repeat(1_000_000)],
    ['emphasis without end', '*a **a '.repeat(150_000)],
    ['tags without end', '<div '.repeat(200_000)],
    ['comments without end', '<div>\n\n<!--\n'.repeat(80_000)],
    ['fences without end', '```\n~~~\n'.repeat(100_000)],
    ['a heading of 1 MB', `# ${'[a]('.repeat(250_000)}`],
  ])('reads %s in linear time and without recursion', (_what, text) => {
    expect(() => parseMarkdown(text)).not.toThrow();
  });
});
