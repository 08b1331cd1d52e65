import { describe, expect, it } from 'vitest';
import { type DocumentFormat, detectFormat } from '#rag/ingest/parse/detect-format.ts';
import { docxParagraph, makeDocx } from '#test/support/documents/make-docx.ts';
import { makeZip } from '#test/support/documents/make-zip.ts';

const detect = (content: string | Uint8Array, filename: string, mediaType = '') =>
  detectFormat(typeof content === 'string' ? Buffer.from(content, 'latin1') : content, {
    filename,
    mediaType,
  });

const PNG = '\x89PNG\r\n\x1a\n\0\0\0\rIHDR';
const EXE = 'MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff';
const OLE = '\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0';

describe('detectFormat', () => {
  it.each<[DocumentFormat, string, string, string]>([
    ['markdown', '# Hi', 'guide.md', ''],
    ['markdown', '# Hi', 'GUIDE.MD', 'application/octet-stream'],
    ['markdown', '# Hi', 'upload', 'text/markdown; charset=utf-8'],
    ['html', '<p>', 'a/b/page.htm', ''],
    ['html', '<p>', 'page', 'text/html'],
    ['csv', 'a,b', 'rows.tsv', 'text/plain'],
    ['json', '{}', 'lines.ndjson', ''],
    ['code', 'x', 'main.rs', ''],
    ['code', 'x', 'app.ts', 'video/mp2t'],
    ['code', 'x', 'Dockerfile', ''],
    ['text', 'x', 'LICENSE', ''],
    ['text', 'x', 'notes.unheard', 'text/x-unheard'],
    ['text', 'MZ is not always a program', 'letter.txt', 'text/plain'],
    ['text', 'RIFF raff', 'letter.txt', 'text/plain'],
    ['pdf', '%PDF-1.7 …', 'report.pdf', 'application/pdf'],
    ['pdf', '%PDF-1.7 …', 'report.txt', 'text/plain'],
    ['pdf', `${' '.repeat(1_000)}%PDF-1.7`, 'report', ''],
  ])('reads as %s: %j named %s of type %j', (format, content, filename, mediaType) => {
    expect(detect(content, filename, mediaType)).toBe(format);
  });

  it('knows a Word document by its name or by its parts', () => {
    const docx = makeDocx(docxParagraph('Hi'));
    expect(detect(docx, 'letter.docx')).toBe('docx');
    expect(detect(makeZip([{ name: 'word/document.xml', content: '<x/>' }]), 'letter')).toBe('docx');
  });

  it.each([
    ['PNG', PNG, 'picture.txt', 'text/plain'],
    ['program', EXE, 'report.pdf', 'application/pdf'],
    ['program', '\x7fELF\x02\x01\x01\0', 'readme.md', ''],
    ['ZIP', 'PK\x03\x04\0\0\0\0xl/workbook.xml', 'sheet.xlsx', ''],
    ['OLE', OLE, 'old.xls', ''],
    ['gzip', '\x1f\x8b\x08\0', 'log.txt', ''],
    ['RTF', '{\\rtf1 text}', 'letter.txt', ''],
    ['JPEG', '\xff\xd8\xff\xe0', 'scan.pdf', ''],
    ['not a PDF', 'plain text', 'report.pdf', ''],
    ['not a DOCX', 'plain text', 'letter.docx', ''],
    ['image/png', 'plain text', 'picture', 'image/png'],
  ])('refuses a %s, whatever it is called', (reason, content, filename, mediaType) => {
    expect(() => detect(content, filename, mediaType)).toThrow(
      expect.objectContaining({
        code: 'unsupported_media_type',
        param: 'file',
        message: expect.stringContaining(reason),
      }),
    );
  });

  it('says of an empty file that it is empty, and of an encrypted Word document that it is encrypted', () => {
    const expected = { code: 'unreadable_document', param: 'file' };
    expect(() => detect('', 'empty.pdf')).toThrow(expect.objectContaining(expected));
    expect(() => detect(OLE, 'secret.docx')).toThrow(expect.objectContaining(expected));
  });

  it('shows a hostile filename on one line, without control characters, and short', () => {
    const filename = `${'\x1b[31m\r\n\u202e'.repeat(50)}.png`;
    expect(() => detect(PNG, filename)).toThrow(/^[^\p{C}\n]{1,400}$/u);
  });
});
