import { Parser } from 'htmlparser2';
import { cleanText } from '#rag/ingest/parse/decode-text.ts';
import { createHtmlWriter } from '#rag/ingest/parse/html-writer.ts';
import { shortTitle } from '#rag/ingest/parse/page-builder.ts';
import type { ParsedDocument } from '#rag/ingest/parse/parsed-document.ts';
import { unreadable } from '#rag/ingest/parse/unreadable.ts';

/** Elements whose content nobody reads as text. */
const SKIPPED = new Set(
  (
    'head script style template noscript nav svg iframe object embed canvas audio video select button textarea ' +
    'map annotation annotation-xml'
  ).split(' '),
);
/** Browsers flatten below 512; no real page comes near this. The parser's stack costs time by its depth. */
const MAX_DEPTH = 5_000;
/** The parser is fed in slices, so that it never copies its whole input. */
const SLICE = 65_536;

/**
 * Reads HTML into blocks. Script, style, navigation and hidden elements are left out; nothing is loaded. The
 * page is empty when no text is left.
 */
export function parseHtml(html: string): ParsedDocument {
  const writer = createHtmlWriter();
  const open: { name: string; isSkipped: boolean }[] = [];
  let title = '';
  let isTitle = false;

  const parser = new Parser({
    onopentag(name, attributes) {
      if (open.length >= MAX_DEPTH) throw unreadable(`The HTML nests deeper than ${MAX_DEPTH} elements.`);
      const isInSkipped = open.at(-1)?.isSkipped ?? false;
      // An SVG has a <title> too, but not in the head.
      isTitle =
        name === 'title' && title === '' && (open.length === 0 || open.some((each) => each.name === 'head'));
      const isSkipped = isInSkipped || SKIPPED.has(name) || isTitle || isHidden(name, attributes);
      open.push({ name, isSkipped });
      if (!isSkipped) writer.open(name);
    },
    onclosetag(name) {
      const closed = open.pop();
      isTitle = false;
      if (closed?.isSkipped === false) writer.close(name);
    },
    ontext(text) {
      if (isTitle) title += text;
      else if (open.at(-1)?.isSkipped !== true) writer.text(text);
    },
  });
  for (let at = 0; at < html.length; at += SLICE) parser.write(html.slice(at, at + SLICE));
  parser.end();

  const page = writer.build();
  const heading = page.headings.find((each) => each.level === 1);
  return { title: shortTitleOr(title, heading?.title ?? null), pages: [page] };
}

const shortTitleOr = (text: string, otherwise: string | null): string | null =>
  text.trim() === '' ? otherwise : shortTitle(cleanText(text));

function isHidden(name: string, attributes: Readonly<Record<string, string>>): boolean {
  if ('hidden' in attributes || attributes['aria-hidden'] === 'true') return true;
  if (attributes.role === 'navigation' || (name === 'input' && attributes.type === 'hidden')) return true;
  const style = attributes.style;
  return style !== undefined && /(?:display\s{0,9}:\s{0,9}none|visibility\s{0,9}:\s{0,9}hidden)/i.test(style);
}
