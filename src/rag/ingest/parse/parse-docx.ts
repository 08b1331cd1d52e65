import mammoth from 'mammoth';
import { type DocxPart, readDocxParts } from '#rag/ingest/parse/docx-parts.ts';
import { shortTitle } from '#rag/ingest/parse/page-builder.ts';
import { parseHtml } from '#rag/ingest/parse/parse-html.ts';
import type { ParsedDocument } from '#rag/ingest/parse/parsed-document.ts';
import { storeZip } from '#rag/ingest/parse/store-zip.ts';
import { unreadable } from '#rag/ingest/parse/unreadable.ts';

const STYLE_MAP = ["p[style-name='Title'] => h1:fresh", "p[style-name='Subtitle'] => p:fresh"];

/**
 * Reads a Word document by way of HTML. Mammoth is given an archive of our own making with nothing but the
 * checked XML parts, so that it inflates nothing and finds no pictures; it opens no other file and no address.
 */
export async function parseDocx(bytes: Uint8Array): Promise<ParsedDocument> {
  const parts = await readDocxParts(bytes);
  if (!parts.some((part) => part.name === '[Content_Types].xml')) {
    throw unreadable('The file is a ZIP archive, but not a Word document.');
  }
  const { value: html } = await mammoth
    .convertToHtml(
      { buffer: storeZip(parts) },
      {
        styleMap: STYLE_MAP,
        // The document could bring a style map of its own.
        includeEmbeddedStyleMap: false,
        externalFileAccess: false,
        convertImage: mammoth.images.imgElement(async () => ({ src: '' })),
      },
    )
    .catch((cause: unknown) => {
      if (cause instanceof RangeError) throw cause;
      throw unreadable('The Word document is damaged, or is none.', cause);
    });
  if (html.trim() === '') throw unreadable('The Word document holds no text.');
  const document = parseHtml(html);
  return { ...document, title: titleOf(parts) ?? document.title };
}

/** `dc:title` of the core properties, where the author set one. */
function titleOf(parts: readonly DocxPart[]): string | null {
  const properties = parts.find((part) => part.name === 'docProps/core.xml')?.content.toString('utf8') ?? '';
  const title = /<dc:title>([^<]{1,1000})<\/dc:title>/.exec(properties)?.[1] ?? '';
  if (title.trim() === '') return null;
  // The title is XML text: reading it as HTML resolves its entities.
  return shortTitle(parseHtml(`<p>${title}</p>`).pages[0]?.text ?? '');
}
