import { describe, expect, it } from 'vitest';
import { parseCsv } from '#rag/ingest/parse/parse-csv.ts';
import { parseDocument } from '#rag/ingest/parse/parse-document.ts';
import { parseJson } from '#rag/ingest/parse/parse-json.ts';
import { parsePlainText, parseSourceCode } from '#rag/ingest/parse/parse-plain-text.ts';
import type { ParsedDocument } from '#rag/ingest/parse/parsed-document.ts';

const blocks = ({ pages: [page] }: ParsedDocument) =>
  page?.blocks.map(({ kind, start, end }) => [kind, page.text.slice(start, end)]);

describe('plain text', () => {
  it('has paragraphs between blank lines, with any line ending', () => {
    expect(blocks(parsePlainText('\n one\ntwo\n\n \t\nthree\r\n\r\nfour\r\rfive'))).toEqual([
      ['paragraph', ' one\ntwo'],
      ['paragraph', 'three'],
      ['paragraph', 'four'],
      ['paragraph', 'five'],
    ]);
  });
});

describe('source code', () => {
  it('keeps a function together over its blank lines', () => {
    const code = 'import x\n\nfunction a() {\n  one();\n\n  two();\n}\n\nfunction b() {\n\n}\n';
    expect(blocks(parseSourceCode(code))).toEqual([
      ['code', 'import x'],
      ['code', 'function a() {\n  one();\n\n  two();\n}'],
      ['code', 'function b() {\n\n}'],
    ]);
  });
});

describe('CSV', () => {
  it('carries its column names as the heading of its rows', () => {
    const parsed = parseCsv('id,"full\nname"\n1,Ann\n2,Bo\n');
    expect(blocks(parsed)).toEqual([
      ['heading', 'id,"full\nname"'],
      ['table', '1,Ann\n2,Bo'],
    ]);
    expect(parsed.pages[0]?.headings).toEqual([{ level: 1, title: 'id,"full name"', offset: 0 }]);
    expect(blocks(parseCsv('\n only\n'))).toEqual([['table', 'only']]);
  });
});

describe('JSON', () => {
  it('stays as it is when its lines are short, valid or not', () => {
    for (const text of ['{\n  "a": 1\n}\n', '{"a":1}\n{"a":2}', '{"a": [']) {
      expect(parseJson(text).pages[0]?.text).toBe(text);
    }
  });

  it('breaks long lines without changing a value', () => {
    const value = {
      list: Array.from({ length: 300 }, (_, id) => ({
        id,
        text: 'a "quoted", {brace} \\ é',
        empty: [],
        none: {},
      })),
      big: '12345678901234567890.10',
    };
    const text = JSON.stringify(value).replace('"12345678901234567890.10"', '12345678901234567890.10');
    const broken = parseJson(text).pages[0]?.text ?? '';
    expect(Math.max(...broken.split('\n').map((line) => line.length))).toBeLessThan(100);
    expect(broken).toContain('12345678901234567890.10');
    expect(JSON.stringify(JSON.parse(broken))).toBe(JSON.stringify(JSON.parse(text)));
  });

  it('keeps the records of JSON Lines apart', () => {
    const record = JSON.stringify({ text: 'x'.repeat(1_200) });
    expect(parseJson(`${record}\n${record}`).pages[0]?.text).toMatch(/^}\n\{$/m);
  });

  it.each([
    ['opened brackets', '['.repeat(1_000_000)],
    ['opened strings', '"\\"'.repeat(400_000)],
    ['commas', ','.repeat(500_000)],
  ])('reads %s without end', (_what, text) => {
    expect((parseJson(text).pages[0]?.text ?? '').length).toBeLessThan(text.length * 10);
  });
});

describe('parseDocument', () => {
  it('refuses a document that has text in no block', async () => {
    const file = { filename: 'a.md', mediaType: '' };
    await expect(
      parseDocument(Buffer.from('<!-- only a comment -->'), 'markdown', file),
    ).rejects.toMatchObject({
      code: 'unreadable_document',
      param: 'file',
    });
  });

  it('refuses a document of millions of blocks', async () => {
    const file = { filename: 'a.txt', mediaType: '' };
    const parsed = parseDocument(Buffer.from('a\n\n'.repeat(300_000)), 'text', file);
    await expect(parsed).rejects.toMatchObject({ code: 'unreadable_document' });
  });
});
