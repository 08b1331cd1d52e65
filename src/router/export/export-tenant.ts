import { createHash, type Hash } from 'node:crypto';
import type { Database } from '#app/database/database.ts';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { documentIdSchema, type TenantId, userIdSchema } from '#app/ids.ts';
import { inSlices } from '#app/in-slices.ts';
import type { RagService } from '#app/services/rag-service.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import type { TarEntry } from '#router/export/tar.ts';
import { findTenantTables, readRows } from '#router/export/tenant-tables.ts';
import { ownerContext } from '#router/identity/administration-context.ts';

export type ExportSource = Readonly<{ database: Database; rag: RagService }>;

export type TenantExport = Readonly<{
  /** In whose name rows are read: every user's of the tenant. */
  context: TenantContext;
  tenantId: TenantId;
  requestedBy: string;
  startedAt: Date;
  signal: AbortSignal;
}>;

/** Files of one list of checksums. */
const CHECKSUMS_PER_FILE = 5_000;
const MAX_MISSING = 1_000;
/** A millisecond or so of encoding and hashing. */
const PIECE_CHARACTERS = 131_072;
const MAX_NAME_CHARACTERS = 50;
const DOCUMENTS_PER_PAGE = 100;

/**
 * Everything of a tenant, file by file: rows as JSON lines, documents as they were uploaded, lists of checksums, and last
 * `manifest.json`, so that an archive without one is known to be cut off. Holds a batch of rows at a time.
 */
export async function* exportTenant(
  { database, rag }: ExportSource,
  { context, tenantId, requestedBy, startedAt, signal }: TenantExport,
): AsyncGenerator<TarEntry, void> {
  const rows: Record<string, number> = {};
  const omitted: Record<string, readonly string[]> = {};
  const missing: { document_id: string; code: string }[] = [];
  let files = 0;
  let lists = 0;
  let sums: string[] = [];
  const note = (path: string, sha256: string) => {
    files += 1;
    sums.push(`${sha256}  ${path}\n`);
  };
  /** A file of lines. Rows may be megabytes long: they are encoded and hashed in pieces, between which others have their turn. */
  const linesFile = async (path: string, lines: readonly string[]): Promise<TarEntry> => {
    const pieces = await inSlices(encodeLines(lines), { tenantId, signal });
    const hash = createHash('sha256');
    await inSlices(hashPieces(hash, pieces), { tenantId, signal });
    note(path, hash.digest('hex'));
    return { path, size: pieces.reduce((size, { byteLength }) => size + byteLength, 0), body: pieces };
  };
  function* listWhenFull(isLast = false): Generator<TarEntry, void> {
    if (sums.length === 0 || (sums.length < CHECKSUMS_PER_FILE && !isLast)) return;
    const content = Buffer.from(sums.join(''));
    sums = [];
    lists += 1;
    yield { path: `checksums/${padded(lists)}.sha256`, size: content.byteLength, body: [content] };
  }

  for (const table of await findTenantTables(database)) {
    rows[table.name] = 0;
    if (table.omitted.length > 0) omitted[table.name] = table.omitted;
    let part = 0;
    for await (const batch of readRows(database, context, table, signal)) {
      part += 1;
      rows[table.name] = (rows[table.name] ?? 0) + batch.length;
      yield await linesFile(`tables/${table.name}/${padded(part)}.jsonl`, batch);
      yield* listWhenFull();
    }
  }

  let documents = 0;
  for await (const { documentId, userId } of listDocuments(database, context)) {
    signal.throwIfAborted();
    const opened = await rag
      .readDocument(ownerContext(tenantId, userId), documentId, signal)
      .catch((error: unknown) => {
        // Removed meanwhile, or its file is gone: the archive says so, and goes on.
        if (!(error instanceof BulkheadError) || error.code !== 'not_found') throw error;
        if (missing.length < MAX_MISSING) missing.push({ document_id: documentId, code: error.code });
        return null;
      });
    if (opened === null) continue;
    const { document, body } = opened;
    const path = `documents/${documentId}/${safeName(document.filename)}`;
    const hash = createHash('sha256');
    const hashed = async function* (): AsyncGenerator<Uint8Array, void> {
      try {
        for await (const piece of body) {
          const bytes = Buffer.from(piece);
          hash.update(bytes);
          yield bytes;
        }
      } finally {
        body.destroy();
      }
    };
    yield { path, size: document.byte_size, body: hashed() };
    documents += 1;
    note(path, hash.digest('hex'));
    yield* listWhenFull();
  }
  yield* listWhenFull(true);

  const manifest = {
    format: 'bulkhead-tenant-export',
    version: 1,
    tenant_id: tenantId,
    requested_by: requestedBy,
    started_at: startedAt.toISOString(),
    finished_at: new Date().toISOString(),
    rows,
    /** Columns that are left out, by table. */
    omitted_columns: omitted,
    documents,
    /** Documents whose file could not be read. */
    missing_documents: missing,
    /** Files before this one that `checksums/` lists, and in how many lists. */
    files,
    checksum_lists: lists,
  };
  const bytes = Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`);
  yield { path: 'manifest.json', size: bytes.byteLength, body: [bytes] };
}

/** UTF-8 of the lines, each with a line break behind it; a step for each piece. */
function* encodeLines(lines: readonly string[]): Generator<void, Buffer[]> {
  const pieces: Buffer[] = [];
  let pending = '';
  for (const line of lines) {
    pending += `${line}\n`;
    while (pending.length >= PIECE_CHARACTERS) {
      // Not between the halves of a character.
      const isSplit = /[\uD800-\uDBFF]/.test(pending.charAt(PIECE_CHARACTERS - 1));
      const to = isSplit ? PIECE_CHARACTERS - 1 : PIECE_CHARACTERS;
      pieces.push(Buffer.from(pending.slice(0, to)));
      pending = pending.slice(to);
      yield;
    }
  }
  pieces.push(Buffer.from(pending));
  return pieces;
}

function* hashPieces(hash: Hash, pieces: readonly Uint8Array[]): Generator<void, void> {
  for (const piece of pieces) {
    hash.update(piece);
    yield;
  }
}

async function* listDocuments(database: Database, context: TenantContext) {
  for (let after = ''; ; ) {
    const rows = await database.asTenant(context, (transaction) =>
      transaction.query(
        `SELECT document_id, user_id FROM bulkhead.documents
          WHERE tenant_id = $1 AND document_id > $2 AND status <> 'deleting' ORDER BY document_id LIMIT $3`,
        [context.tenantId, after, DOCUMENTS_PER_PAGE],
      ),
    );
    for (const row of rows) {
      yield {
        documentId: documentIdSchema.parse(row.document_id),
        userId: userIdSchema.parse(row.user_id),
      };
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < DOCUMENTS_PER_PAGE) return;
    after = String(last.document_id);
  }
}

const padded = (number: number): string => String(number).padStart(6, '0');

/** A name that is one harmless path segment on every system; the real one is in the table `documents`. */
function safeName(filename: string): string {
  const safe = filename.replace(/[^A-Za-z0-9._-]/g, '_').replace(/^\.+/, '_');
  return safe.length <= MAX_NAME_CHARACTERS
    ? safe || '_'
    : safe.slice(-MAX_NAME_CHARACTERS).replace(/^\.+/, '_');
}
