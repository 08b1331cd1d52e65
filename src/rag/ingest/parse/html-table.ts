import { collapseSpace, type PageBuilder } from '#rag/ingest/parse/page-builder.ts';

/** A cell with more text than this is a page's layout, not data. */
const MAX_CELL = 1_000;

/** The rows of one `<table>` while they are read. */
export interface HtmlTable {
  openRow(): void;
  openCell(): void;
  closeCell(): void;
  add(text: string): void;
  /** No cell of a table of data holds this much. */
  readonly isTooLong: boolean;
  /** Writes what was read: rows as lines, or each cell as a paragraph where the table only lays out a page. */
  writeTo(builder: PageBuilder, asLayout: boolean): void;
}

export function createHtmlTable(): HtmlTable {
  const rows: string[][] = [];
  let row: string[] | null = null;
  let cell: string[] | null = null;
  let cellLength = 0;

  const closeCell = () => {
    if (cell !== null) row?.push(collapseSpace(cell.join(' ')).trim());
    cell = null;
    cellLength = 0;
  };
  const openRow = () => {
    closeCell();
    row = [];
    rows.push(row);
  };

  return {
    openRow,
    openCell() {
      closeCell();
      if (row === null) openRow();
      cell = [];
    },
    closeCell,
    add(text) {
      // A caption, or text that stands where none may.
      if (cell === null) {
        rows.push([collapseSpace(text).trim()]);
        row = null;
        return;
      }
      cell.push(text);
      cellLength += text.length;
    },
    get isTooLong() {
      return cellLength > MAX_CELL;
    },
    writeTo(builder, asLayout) {
      closeCell();
      const filled = rows.filter((cells) => cells.some((text) => text !== ''));
      if (asLayout || filled.every((cells) => cells.length === 1)) {
        for (const text of filled.flat()) builder.block('paragraph', text);
      } else {
        builder.block('table', filled.map((cells) => cells.join(' | ')).join('\n'));
      }
    },
  };
}
