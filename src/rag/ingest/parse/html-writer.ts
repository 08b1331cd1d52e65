import { createHtmlTable, type HtmlTable } from '#rag/ingest/parse/html-table.ts';
import { collapseSpace, createPageBuilder } from '#rag/ingest/parse/page-builder.ts';
import type { ParsedPage } from '#rag/ingest/parse/parsed-document.ts';

const names = (list: string): ReadonlySet<string> => new Set(list.split(' '));

const BLOCKS = names(
  'address article aside blockquote body caption center dd details div dl dt fieldset figcaption figure footer form ' +
    'header hgroup hr html legend main p search section summary tbody tfoot thead',
);
const HEADING = /^h([1-6])$/;
const MAX_LIST_INDENT = 8;

/** Turns the tags and text of HTML, as a parser meets them, into blocks. */
export interface HtmlWriter {
  open(name: string): void;
  close(name: string): void;
  text(text: string): void;
  build(): ParsedPage;
}

export function createHtmlWriter(): HtmlWriter {
  const builder = createPageBuilder();
  let inline: string[] = [];
  let headingLevel = 0;
  let preDepth = 0;
  const lists: { isOrdered: boolean; count: number }[] = [];
  let listLines: string[] = [];
  let marker: string | null = null;
  /** Open tables, outermost first; null for one that only lays out the page. */
  const tables: (HtmlTable | null)[] = [];

  const flushList = () => {
    builder.block('list', listLines.join('\n'));
    listLines = [];
  };

  const addListLine = (text: string) => {
    const indent = '  '.repeat(Math.min(lists.length - 1, MAX_LIST_INDENT));
    listLines.push(`${indent}${marker ?? '  '}${text.replaceAll('\n', `\n${indent}  `)}`);
    marker = null;
  };

  const turnIntoLayout = () => {
    const table = tables.at(-1);
    if (table == null) return;
    table.writeTo(builder, true);
    tables[tables.length - 1] = null;
  };

  const flush = () => {
    if (preDepth > 0) return;
    const text = inline
      .join('')
      .replace(/ {2,}/g, () => ' ')
      .replace(/ ?\n ?/g, () => '\n')
      .trim();
    inline = [];
    if (text === '') return;
    const table = tables.at(-1);
    if (headingLevel > 0) {
      flushList();
      builder.heading(headingLevel, text);
      // An <h1> that is never closed must not make headings of all that follows.
      headingLevel = 0;
    } else if (table != null) {
      table.add(text);
      if (table.isTooLong) turnIntoLayout();
    } else if (lists.length > 0) addListLine(text);
    else builder.block('paragraph', text);
  };

  const openTable = () => {
    turnIntoLayout();
    flushList();
    tables.push(createHtmlTable());
  };

  const closeTable = () => {
    const table = tables.pop();
    table?.writeTo(builder, false);
  };

  const openPre = () => {
    turnIntoLayout();
    flushList();
    preDepth++;
  };

  const closePre = () => {
    preDepth--;
    if (preDepth > 0) return;
    const code = inline.join('').replace(/\r\n?/g, '\n');
    inline = [];
    builder.block('code', code);
  };

  const breakLine = () => {
    if (preDepth === 0 || !(inline.at(-1) ?? '\n').endsWith('\n')) inline.push('\n');
  };

  return {
    open(name) {
      const level = HEADING.exec(name)?.[1];
      if (name === 'br') inline.push('\n');
      else if (preDepth > 0) {
        if (name === 'pre') preDepth++;
        else if (BLOCKS.has(name) || name === 'li') breakLine();
      } else if (level !== undefined) {
        flush();
        turnIntoLayout();
        headingLevel = Number(level);
      } else if (name === 'pre' || name === 'listing' || name === 'xmp') {
        flush();
        openPre();
      } else if (name === 'table') {
        flush();
        openTable();
      } else if (name === 'tr') {
        flush();
        tables.at(-1)?.openRow();
      } else if (name === 'td' || name === 'th') {
        flush();
        tables.at(-1)?.openCell();
      } else if (name === 'ul' || name === 'ol' || name === 'menu') {
        flush();
        lists.push({ isOrdered: name === 'ol', count: 0 });
      } else if (name === 'li') {
        flush();
        const list = lists.at(-1);
        if (list !== undefined) marker = list.isOrdered ? `${++list.count}. ` : '- ';
      } else if (BLOCKS.has(name)) flush();
    },

    close(name) {
      if (name === 'pre' || name === 'listing' || name === 'xmp') {
        if (preDepth > 0) closePre();
        return;
      }
      if (preDepth > 0) {
        if (BLOCKS.has(name)) breakLine();
        return;
      }
      const isHeading = HEADING.test(name);
      if (isHeading || BLOCKS.has(name) || name === 'li') flush();
      if (isHeading) headingLevel = 0;
      if (name === 'td' || name === 'th') {
        flush();
        tables.at(-1)?.closeCell();
      } else if (name === 'table') {
        flush();
        closeTable();
      } else if (name === 'ul' || name === 'ol' || name === 'menu') {
        flush();
        lists.pop();
        if (lists.length === 0) flushList();
      }
    },

    text(text) {
      inline.push(preDepth > 0 ? text : collapseSpace(text));
    },

    build() {
      preDepth = 0;
      flush();
      for (const table of tables.splice(0)) table?.writeTo(builder, false);
      flushList();
      return builder.build();
    },
  };
}
