import { afterEach, describe, expect, it } from 'vitest';
import { createDocumentParser, type DocumentParser } from '#rag/ingest/parse/document-parser.ts';
import { docxParagraph, makeDocx } from '#test/support/documents/make-docx.ts';
import { makeFormsInForms, makePdf, pdfLines } from '#test/support/documents/make-pdf.ts';

const parsers: DocumentParser[] = [];
const createParser = (options: { timeoutMs?: number; memoryMb?: number; workers?: number } = {}) => {
  const parser = createDocumentParser({ timeoutMs: 45_000, memoryMb: 192, workers: 1, ...options });
  parsers.push(parser);
  return parser;
};
afterEach(async () => {
  await Promise.all(parsers.splice(0).map((parser) => parser.close()));
});

const never = new AbortController().signal;
const read = (
  parser: DocumentParser,
  filename: string,
  content: string | Uint8Array,
  signal = never,
  tenantId = 'acme',
) =>
  parser.parse(
    typeof content === 'string' ? Buffer.from(content) : content,
    { filename, mediaType: '' },
    { tenantId, signal },
  );
const text = async (...[parser, ...rest]: Parameters<typeof read>) =>
  (await read(parser, ...rest)).pages.map((page) => page.text).join('\f');
const unreadable = (reason: RegExp) => ({
  code: 'unreadable_document',
  param: 'file',
  message: expect.stringMatching(reason),
});

/** 2^30 blanks in a content stream: array buffers, which V8's own limit doesn't count. */
const pdfBomb = () => makePdf([Buffer.alloc(2 ** 30, ' ')]);
/** A kilobyte that means 10^11 words. */
const endlessPdf = () => makeFormsInForms(12);

describe('createDocumentParser', () => {
  it('reads every format', async () => {
    const parser = createParser({ workers: 2 });
    const texts = await Promise.all([
      text(parser, 'a.md', '# Hi\n\nText.'),
      text(parser, 'a.txt', 'Text.'),
      text(parser, 'a.html', '<p>Text.</p>'),
      text(parser, 'a.csv', 'a,b\n1,2'),
      text(parser, 'a.json', '{"a":1}'),
      text(parser, 'a.ts', 'let x = 1;'),
      text(parser, 'a.pdf', makePdf([pdfLines(700, 'One.'), pdfLines(700, 'Two.')])),
      text(parser, 'a.docx', makeDocx(docxParagraph('Text.'))),
    ]);
    expect(texts).toEqual([
      ...['# Hi\n\nText.', 'Text.', 'Text.', 'a,b\n1,2', '{"a":1}', 'let x = 1;'],
      ...['One.\fTwo.', 'Text.'],
    ]);
  });

  it('gives the errors of detection and of parsing, and reads on', async () => {
    const parser = createParser();
    await expect(read(parser, 'a.txt', Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'))).rejects.toMatchObject({
      code: 'unsupported_media_type',
      param: 'file',
    });
    await expect(read(parser, 'a.txt', Buffer.from('caf\xe9', 'latin1'))).rejects.toMatchObject({
      code: 'invalid_encoding',
      param: 'file',
      message: expect.stringContaining('a.txt'),
    });
    await expect(read(parser, 'a.pdf', makePdf([[]]))).rejects.toMatchObject(unreadable(/no text/));
    await expect(read(parser, 'a.pdf', '')).rejects.toMatchObject(unreadable(/empty/));
    expect(await text(parser, 'a.txt', 'still here')).toBe('still here');
  });

  it('ends a parser that runs out of time, and starts another', async () => {
    const parser = createParser({ timeoutMs: 1_500 });
    await expect(read(parser, 'endless.pdf', endlessPdf())).rejects.toMatchObject(unreadable(/1\.5 seconds/));
    expect(await text(parser, 'a.txt', 'still here')).toBe('still here');
  });

  it('outlives a parser whose heap or whose buffers grow without end', async () => {
    const parser = createParser({ memoryMb: 64 });
    const heap = `<table>${'<td>x'.repeat(3_000_000)}`;
    await expect(read(parser, 'heap.html', heap)).rejects.toMatchObject(unreadable(/64 MiB of memory/));
    await expect(read(parser, 'bomb.pdf', pdfBomb())).rejects.toMatchObject(unreadable(/64 MiB of memory/));
    expect(await text(parser, 'a.txt', 'still here')).toBe('still here');
  });

  it('stops when aborted: before, while waiting for its turn, and while reading', async () => {
    const parser = createParser();
    const reason = new Error('the client left');
    await expect(read(parser, 'a.txt', 'x', AbortSignal.abort(reason))).rejects.toBe(reason);

    const first = new AbortController();
    const second = new AbortController();
    const reading = read(parser, 'endless.pdf', endlessPdf(), first.signal);
    const waiting = read(parser, 'a.txt', 'x', second.signal);
    const last = text(parser, 'a.txt', 'reached');
    second.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    setTimeout(() => first.abort(reason), 300);
    await expect(reading).rejects.toBe(reason);
    expect(await last).toBe('reached');
  });

  it('fails what is under way when it is closed, and reads nothing more', async () => {
    const parser = createParser();
    const reading = read(parser, 'endless.pdf', endlessPdf());
    const waiting = read(parser, 'a.txt', 'x');
    const outcomes = Promise.allSettled([reading, waiting]);
    await parser.close();
    expect((await outcomes).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await expect(read(parser, 'a.txt', 'x')).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('reads more documents than it has processes', async () => {
    const parser = createParser({ workers: 2 });
    const texts = await Promise.all(
      Array.from({ length: 40 }, (_, index) => text(parser, 'a.txt', `document ${index}`)),
    );
    expect(texts).toEqual(Array.from({ length: 40 }, (_, index) => `document ${index}`));
  });

  it.each([
    ['a line of 16 MB', 'a.md', 'word '.repeat(3_300_000)],
    ['HTML nested without end', 'a.html', '<div>'.repeat(1_000_000)],
    ['XML nested without end', 'a.docx', makeDocx('<w:tbl><w:tr><w:tc>'.repeat(20_000))],
  ])('answers for %s', async (_what, filename, content) => {
    const outcome = await read(createParser(), filename, content).then(
      () => 'read',
      (error: unknown) => error,
    );
    if (outcome !== 'read') expect(outcome).toMatchObject({ code: 'unreadable_document', param: 'file' });
  });
});

describe('places at the parsers', () => {
  it('reads a note of one tenant while files of another keep every parser busy', async () => {
    const parser = createParser({ workers: 1 });
    const leaving = new AbortController();
    const large = Buffer.concat([endlessPdf(), Buffer.alloc(300_000, ' ')]);
    const busy = [large, endlessPdf(), endlessPdf(), endlessPdf(), large].map((content) =>
      read(parser, 'endless.pdf', content, leaving.signal, 'flood'),
    );
    const outcomes = Promise.allSettled(busy);
    // Behind the one of the small ones that has the quick place, which loses it after two seconds.
    expect(await text(parser, 'a.txt', 'reached', never, 'quiet')).toBe('reached');
    leaving.abort(new Error('the flood ends'));
    expect((await outcomes).map(({ status }) => status)).not.toContain('fulfilled');
  });

  it('reads a small file that takes longer than the quick place allows', async () => {
    const parser = createParser({ timeoutMs: 4_000 });
    await expect(read(parser, 'endless.pdf', endlessPdf())).rejects.toMatchObject(unreadable(/4 seconds/));
    expect(await text(parser, 'a.txt', 'still here')).toBe('still here');
  });

  it('lets tenants take turns where files are large', async () => {
    const parser = createParser({ workers: 1 });
    const order: string[] = [];
    const large = (tenantId: string) =>
      read(parser, 'a.txt', 'word '.repeat(60_000), never, tenantId).then(() => order.push(tenantId));
    await Promise.all([...Array.from({ length: 6 }, () => large('flood')), large('quiet'), large('calm')]);
    expect(order.slice(0, 3).sort()).toEqual(['calm', 'flood', 'quiet']);
  });
});
