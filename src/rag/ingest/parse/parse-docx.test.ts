import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { parseDocx } from '#rag/ingest/parse/parse-docx.ts';
import {
  docxEntries,
  docxListItem,
  docxParagraph,
  docxTable,
  makeDocx,
} from '#test/support/documents/make-docx.ts';
import { makeZip } from '#test/support/documents/make-zip.ts';

const blocks = async (bytes: Uint8Array) => {
  const [page] = (await parseDocx(bytes)).pages;
  return page?.blocks.map(({ kind, start, end }) => [kind, page.text.slice(start, end)]);
};
const unreadable = (reason: RegExp) => ({
  code: 'unreadable_document',
  param: 'file',
  message: expect.stringMatching(reason),
});
const BODY = docxParagraph('Text.');

describe('parseDocx', () => {
  it('reads headings, paragraphs, lists and tables', async () => {
    const body =
      docxParagraph('Handbook', 'Title') +
      docxParagraph('Setup', 'Heading1') +
      docxParagraph('Some <text> & more.') +
      docxParagraph('Linux', 'Heading2') +
      docxListItem('one') +
      docxListItem('two') +
      docxTable([
        ['a', 'b'],
        ['1', '2'],
      ]);
    expect(await blocks(makeDocx(body))).toEqual([
      ['heading', 'Handbook'],
      ['heading', 'Setup'],
      ['paragraph', 'Some <text> & more.'],
      ['heading', 'Linux'],
      ['list', '- one\n- two'],
      ['table', 'a | b\n1 | 2'],
    ]);
  });

  it('takes the title from the properties, else from the first heading', async () => {
    expect((await parseDocx(makeDocx(BODY, { title: 'Tom & Co <1>' }))).title).toBe('Tom & Co <1>');
    expect((await parseDocx(makeDocx(docxParagraph('H', 'Heading1') + BODY, { title: ' ' }))).title).toBe(
      'H',
    );
    expect((await parseDocx(makeDocx(BODY))).title).toBeNull();
  });

  it('says of a document without text that it holds none', async () => {
    await expect(parseDocx(makeDocx(docxParagraph('')))).rejects.toMatchObject(unreadable(/no text/));
  });

  it('refuses a bomb in the document, whatever size the archive declares', async () => {
    const bomb = docxEntries(docxParagraph('a'.repeat(30_000_000)));
    await expect(parseDocx(makeZip(bomb))).rejects.toMatchObject(unreadable(/inflates/));
    await expect(parseDocx(makeZip(bomb, { declaredSize: 100 }))).rejects.toMatchObject(unreadable(/./));
  });

  it('bounds the sum of many parts', async () => {
    // Not compressible enough for the ratio to give it away.
    let seed = 1;
    const noise = Array.from({ length: 200_000 }, () => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed.toString(36).slice(0, 2).repeat(40);
    }).join('');
    const parts = Array.from({ length: 6 }, (_, index) => ({
      name: `word/part${index}.xml`,
      content: noise,
    }));
    await expect(parseDocx(makeZip([...docxEntries(BODY), ...parts]))).rejects.toMatchObject(
      unreadable(/64 MiB/),
    );
  });

  it('never inflates pictures, however large', async () => {
    const picture = { name: 'word/media/image1.png', content: Buffer.alloc(100_000_000) };
    expect(await blocks(makeZip([...docxEntries(BODY), picture]))).toEqual([['paragraph', 'Text.']]);
  });

  it('bounds the number of files', async () => {
    const files = Array.from({ length: 5_001 }, (_, index) => ({ name: `x${index}`, content: '' }));
    await expect(parseDocx(makeZip([...docxEntries(BODY), ...files]))).rejects.toMatchObject(
      unreadable(/5000 files/),
    );
  });

  it.each(['../evil.xml', '/etc/evil.xml', 'word\\..\\evil.xml', 'C:/evil.xml'])(
    'refuses an archive with the path %s',
    async (name) => {
      await expect(
        parseDocx(makeZip([...docxEntries(BODY), { name, content: '<x/>' }])),
      ).rejects.toMatchObject(unreadable(/damaged/));
    },
  );

  it('refuses two files of one name', async () => {
    await expect(parseDocx(makeZip([...docxEntries(BODY), ...docxEntries(BODY)]))).rejects.toMatchObject(
      unreadable(/same name/),
    );
  });

  it('refuses entities, external ones and ones that multiply', async () => {
    for (const dtd of [
      '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>',
      '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd">',
      '<!DOCTYPE x [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]>',
    ]) {
      await expect(parseDocx(makeDocx(BODY, { prologue: dtd }))).rejects.toMatchObject(
        unreadable(/entities/),
      );
    }
  });

  it('never fetches what the document points at', async () => {
    let requests = 0;
    const server = createServer((_request, response) => {
      requests++;
      response.end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    try {
      const relation = 'http://schemas.openxmlformats.org/officeDocument/2006/relationships';
      const targets = [`http://127.0.0.1:${port}/x.png`, 'file:///etc/passwd'];
      const relations = targets
        .map(
          (target, index) =>
            `<Relationship Id="x${index}" Type="${relation}/image" Target="${target}" TargetMode="External"/>`,
        )
        .join('');
      const pictures = targets
        .map(
          (_, index) =>
            `<w:p><w:r><w:drawing><wp:inline><a:graphic><a:graphicData><a:blip r:link="x${index}"/></a:graphicData></a:graphic></wp:inline></w:drawing></w:r></w:p>`,
        )
        .join('');
      const template = `<Relationship Id="t" Type="${relation}/attachedTemplate" Target="${targets[0]}" TargetMode="External"/>`;
      const bytes = makeDocx(BODY + pictures, { relations: relations + template });
      expect(await blocks(bytes)).toEqual([['paragraph', 'Text.']]);
      expect(requests).toBe(0);
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });

  it('refuses archives that are cut off, damaged, or of something else', async () => {
    const whole = makeDocx(BODY);
    for (const part of [0.3, 0.6, 0.95]) {
      await expect(parseDocx(whole.subarray(0, whole.length * part))).rejects.toMatchObject(
        unreadable(/damaged/),
      );
    }
    const damaged = Buffer.from(whole);
    damaged.fill(0x58, 60, 90);
    await expect(parseDocx(damaged)).rejects.toMatchObject(unreadable(/damaged/));
    await expect(parseDocx(makeZip([{ name: 'a.txt', content: 'x' }]))).rejects.toMatchObject(
      unreadable(/not a Word document/),
    );
    const [types] = docxEntries(BODY);
    await expect(parseDocx(makeZip(types === undefined ? [] : [types]))).rejects.toMatchObject(
      unreadable(/damaged/),
    );
  });
});
