import { getDocumentProxy } from 'unpdf';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { cleanText } from '#rag/ingest/parse/decode-text.ts';
import { shortTitle } from '#rag/ingest/parse/page-builder.ts';
import type { ParsedDocument } from '#rag/ingest/parse/parsed-document.ts';
import { buildPdfPage, measureSizes } from '#rag/ingest/parse/pdf-blocks.ts';
import { dropRunningLines, linesOfPage, type PdfLine } from '#rag/ingest/parse/pdf-lines.ts';
import { unreadable } from '#rag/ingest/parse/unreadable.ts';

const MAX_PAGES = 5_000;
/** Forms that draw each other make a small file produce text without end. */
const MAX_CHARACTERS = 16_000_000;
/** Where a complete PDF says that it ends; some writers append a little after it. */
const TAIL_BYTES = 65_536;

type PdfDocument = Awaited<ReturnType<typeof getDocumentProxy>>;

/** Reads a PDF's text, page by page. Scripts aren't run, pictures aren't decoded, nothing is loaded. */
export async function parsePdf(bytes: Uint8Array): Promise<ParsedDocument> {
  const tail = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).subarray(-TAIL_BYTES);
  // pdf.js would show what is left of it, and nobody would know that the rest is missing.
  if (!tail.includes('%%EOF') && !tail.includes('startxref')) {
    throw unreadable('The PDF breaks off before its end.');
  }
  const pdf = await open(bytes);
  try {
    if (pdf.numPages > MAX_PAGES) throw unreadable(`The PDF has more than ${MAX_PAGES} pages.`);
    const pages = dropRunningLines(await readPages(pdf));
    const sizes = measureSizes(pages);
    const built = pages.map((lines, index) => buildPdfPage(index + 1, lines, sizes));
    if (built.every((page) => page.text === '')) {
      throw unreadable('The PDF holds no text. It may be made of scanned pictures.');
    }
    const heading = built.flatMap((page) => page.headings).find(({ level }) => level === 1);
    return { title: (await readTitle(pdf)) ?? heading?.title ?? null, pages: built };
  } finally {
    await pdf.destroy();
  }
}

async function open(bytes: Uint8Array): Promise<PdfDocument> {
  try {
    // A copy, because pdf.js takes the buffer away from whoever gives it.
    return await getDocumentProxy(new Uint8Array(bytes), {
      isEvalSupported: false,
      disableFontFace: true,
      useSystemFonts: true,
      enableXfa: false,
      useWorkerFetch: false,
      verbosity: 0,
    });
  } catch (cause) {
    const name = cause instanceof Error ? cause.name : '';
    if (name === 'PasswordException') throw unreadable('The PDF is encrypted and needs a password.', cause);
    throw unreadable('The PDF is damaged.', cause);
  }
}

async function readPages(pdf: PdfDocument): Promise<PdfLine[][]> {
  const pages: PdfLine[][] = [];
  let characters = 0;
  for (let number = 1; number <= pdf.numPages; number++) {
    try {
      const page = await pdf.getPage(number);
      const { items, styles } = await page.getTextContent();
      const lines = linesOfPage(
        items.flatMap((item) => ('str' in item ? [item] : [])),
        (fontName) => styles[fontName]?.fontFamily === 'monospace',
      );
      for (const line of lines) characters += line.text.length;
      if (characters > MAX_CHARACTERS) throw unreadable('The PDF holds more text than is accepted.');
      pages.push(lines);
      page.cleanup();
    } catch (cause) {
      if (cause instanceof BulkheadError) throw cause;
      throw unreadable(`Page ${number} of the PDF is damaged.`, cause);
    }
  }
  return pages;
}

/** The title of the document's properties. Many writers put a file's name there, which is no title. */
async function readTitle(pdf: PdfDocument): Promise<string | null> {
  const { info } = await pdf.getMetadata().catch(() => ({ info: {} }));
  const value = 'Title' in info ? info.Title : null;
  if (typeof value !== 'string') return null;
  const title = shortTitle(cleanText(value));
  const isFilename =
    /^(?:microsoft word|untitled|untitled-\d+)|\.(?:docx?|pdf|tex|dvi|indd|qxd|pptx?)$/i.test(title);
  return title === '' || isFilename ? null : title;
}
