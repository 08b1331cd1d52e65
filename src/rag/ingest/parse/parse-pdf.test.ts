import { describe, expect, it } from 'vitest';
import { parsePdf } from '#rag/ingest/parse/parse-pdf.ts';
import { makeFormsInForms, makePdf, type PdfTextLine, pdfLines } from '#test/support/documents/make-pdf.ts';

const blocks = async (bytes: Uint8Array) =>
  (await parsePdf(bytes)).pages.map((page) =>
    page.blocks.map(({ kind, start, end }) => [kind, page.text.slice(start, end)]),
  );
const unreadable = (reason: RegExp) => ({
  code: 'unreadable_document',
  param: 'file',
  message: expect.stringMatching(reason),
});

describe('parsePdf', () => {
  it('reads pages, headings by their size, paragraphs and lists', async () => {
    const first: PdfTextLine[] = [
      { text: 'Annual Report', y: 740, size: 22 },
      { text: 'Results', y: 700, size: 16 },
      ...pdfLines(670, 'The first paragraph goes over several', 'lines of the page, and it ends here.'),
      ...pdfLines(610, 'The second one follows after a gap.'),
      ...pdfLines(570, '- one item', '- another item', 'that is continued'),
    ];
    const document = await parsePdf(makePdf([first, pdfLines(700, 'Page two.')]));
    expect(document.title).toBe('Annual Report');
    expect(document.pages.map(({ page }) => page)).toEqual([1, 2]);
    expect(await blocks(makePdf([first, pdfLines(700, 'Page two.')]))).toEqual([
      [
        ['heading', 'Annual Report'],
        ['heading', 'Results'],
        ['paragraph', 'The first paragraph goes over several lines of the page, and it ends here.'],
        ['paragraph', 'The second one follows after a gap.'],
        ['list', '- one item\n- another item that is continued'],
      ],
      [['paragraph', 'Page two.']],
    ]);
    expect(document.pages[0]?.headings.map(({ level, title }) => [level, title])).toEqual([
      [1, 'Annual Report'],
      [2, 'Results'],
    ]);
  });

  it('puts words together that were hyphenated at a line end, and no others', async () => {
    const lines = pdfLines(
      700,
      'Tenants share resour-',
      'ces under a well-',
      'Known limit of 10-',
      '20 requests.',
    );
    expect(await blocks(makePdf([lines]))).toEqual([
      [['paragraph', 'Tenants share resources under a well- Known limit of 10- 20 requests.']],
    ]);
  });

  it('puts a blank between words that are only placed apart', async () => {
    const lines = [
      { text: 'left', x: 72, y: 700 },
      { text: 'right', x: 200, y: 700 },
    ];
    expect(await blocks(makePdf([lines]))).toEqual([[['paragraph', 'left right']]]);
  });

  it('leaves running heads and page numbers out', async () => {
    const pages = Array.from({ length: 6 }, (_, index) => [
      { text: `Manual, chapter ${index}`, y: 760 },
      ...pdfLines(700, `Text number ${'one two three four five six'.split(' ')[index]}.`),
      { text: `${index + 1} / 6`, y: 30 },
    ]);
    expect(await blocks(makePdf(pages))).toEqual(
      ['one', 'two', 'three', 'four', 'five', 'six'].map((word) => [['paragraph', `Text number ${word}.`]]),
    );
  });

  it('keeps rows of numbers that look alike on every page', async () => {
    const pages = Array.from({ length: 4 }, (_, index) =>
      pdfLines(700, `Text ${'abcd'.charAt(index)}.`, `${index}1 ${index}2 33`),
    );
    expect(await blocks(makePdf(pages))).toEqual(
      [0, 1, 2, 3].map((index) => [['paragraph', `Text ${'abcd'.charAt(index)}. ${index}1 ${index}2 33`]]),
    );
  });

  it('keeps a document whose pages are all alike', async () => {
    const page = pdfLines(700, 'The same line', 'and another');
    expect(await blocks(makePdf([page, page, page]))).toHaveLength(3);
  });

  it('keeps lines and indentation of code', async () => {
    const code = ['if (ready) {', 'start();', '}'].map((text, index) => ({
      text,
      x: index === 1 ? 72 + 2 * 7.2 : 72,
      y: 660 - index * 14,
      isCode: true,
    }));
    expect(await blocks(makePdf([[...pdfLines(700, 'As follows'), ...code]]))).toEqual([
      [
        ['paragraph', 'As follows'],
        ['code', 'if (ready) {\n  start();\n}'],
      ],
    ]);
  });

  it('keeps empty pages, so that page numbers stay right', async () => {
    const { pages } = await parsePdf(makePdf([[], pdfLines(700, 'Here.'), []]));
    expect(pages.map(({ page, text }) => [page, text])).toEqual([
      [1, ''],
      [2, 'Here.'],
      [3, ''],
    ]);
  });

  it('takes the title from the properties, unless that is a filename', async () => {
    const page = [{ text: 'Heading', y: 740, size: 22 }, ...pdfLines(700, 'Body text of the page.')];
    expect((await parsePdf(makePdf([page], { title: 'The Title' }))).title).toBe('The Title');
    expect((await parsePdf(makePdf([page], { title: 'Microsoft Word - x.docx' }))).title).toBe('Heading');
  });

  it('says of a PDF without text that it holds none', async () => {
    await expect(parsePdf(makePdf([[], []]))).rejects.toMatchObject(unreadable(/no text.*scanned/));
  });

  it('says of an encrypted PDF that it is, and reads one that opens without a password', async () => {
    const page = pdfLines(700, 'Secret text.');
    const locked = makePdf([page], { userPassword: 'hunter2' });
    await expect(parsePdf(locked)).rejects.toMatchObject(unreadable(/encrypted/));
    expect(await blocks(makePdf([page], { userPassword: '' }))).toEqual([[['paragraph', 'Secret text.']]]);
  });

  it('refuses a PDF that is cut off, wherever it is cut', async () => {
    const whole = makePdf([pdfLines(700, 'Some text.'), pdfLines(700, 'More text.')]);
    for (let part = 1; part < 10; part++) {
      const cut = whole.subarray(0, Math.floor((whole.length * part) / 10));
      await expect(parsePdf(cut)).rejects.toMatchObject(unreadable(/breaks off/));
    }
  });

  it('survives damage anywhere in the file', async () => {
    const whole = makePdf([pdfLines(700, 'Some text that is long enough to be damaged.')]);
    for (let at = 0; at < whole.length; at += 37) {
      const damaged = Buffer.from(whole);
      damaged.fill(0x58, at, at + 12);
      const outcome = await parsePdf(damaged).then(
        ({ pages }) => pages.every(({ text }) => text.isWellFormed()),
        (error: unknown) => error,
      );
      if (outcome !== true) expect(outcome).toMatchObject({ code: 'unreadable_document', param: 'file' });
    }
  });

  it('neither runs scripts nor opens what the PDF points at', async () => {
    const actions = new Map([
      [1_000, '<< /S /JavaScript /JS (globalThis.pdfWasHere = true; app.alert\\("x"\\);) >>'],
      [1_001, '<< /S /URI /URI (http://127.0.0.1:9/x) /Next << /S /Launch /F (/bin/true) >> >>'],
    ]);
    const options = { catalog: '/OpenAction 1000 0 R /AA << /WC 1001 0 R >>', extraObjects: actions };
    expect(await blocks(makePdf([pdfLines(700, 'Text.')], options))).toEqual([[['paragraph', 'Text.']]]);
    expect('pdfWasHere' in globalThis).toBe(false);
  });

  it.each([2_147_483_647, -1, 0])('survives a page tree that claims %d pages', async (declaredPages) => {
    const outcome = await parsePdf(makePdf([pdfLines(700, 'Text.')], { declaredPages })).then(
      ({ pages }) => pages.length,
      (error: unknown) => error,
    );
    if (outcome !== 1) expect(outcome).toMatchObject({ code: 'unreadable_document' });
  });

  it('survives a cross-reference table that claims millions of objects', async () => {
    const pdf = makePdf([pdfLines(700, 'Text.')]).toString('latin1');
    const lying = pdf.replace('xref\n0 1\n', 'xref\n0 99999999\n');
    const outcome = await parsePdf(Buffer.from(lying, 'latin1')).then(
      ({ pages }) => pages.length,
      (error: unknown) => error,
    );
    if (outcome !== 1) expect(outcome).toMatchObject({ code: 'unreadable_document' });
  });

  it('reads forms within forms', async () => {
    const [page] = (await parsePdf(makeFormsInForms(3))).pages;
    expect(page?.text.match(/word/g)).toHaveLength(100);
  });

  it('refuses what is no PDF behind its first bytes', async () => {
    await expect(parsePdf(Buffer.from('%PDF-1.7\nnothing\nstartxref\n0\n%%EOF'))).rejects.toMatchObject(
      unreadable(/damaged/),
    );
  });
});
