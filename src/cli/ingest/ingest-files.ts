import { setTimeout as sleep } from 'node:timers/promises';
import type { DocumentId } from '#app/ids.ts';
import type { Visibility } from '#app/schemas/multi-tenant-vault-chunk.ts';
import { pageOf } from '#app/schemas/page.ts';
import { type VaultDocument, vaultDocumentSchema } from '#app/schemas/vault-document.ts';
import type { ApiClient } from '#cli/api-client.ts';
import { ApiError } from '#cli/api-error.ts';
import type { FileToIngest, IngestFailure } from '#cli/ingest/collect-files.ts';
import { mediaTypeOf, multipartBody } from '#cli/ingest/multipart-body.ts';
import type { ProgressLine } from '#cli/output/progress-line.ts';

const documentPageSchema = pageOf(vaultDocumentSchema);
const FIRST_POLL_MS = 300;
const LONGEST_POLL_MS = 2_000;
/** A tenant's requests a minute are limited: waiting for them is part of a large upload. */
const WAIT_OUT_LIMITS = 20;

export type IngestOptions = {
  api: ApiClient;
  files: readonly FileToIngest[];
  visibility: Visibility;
  /** Absent: as the API has it. */
  collection?: string;
  title?: string;
  /** Return when the files are stored, and leave the indexing to the server. */
  storeOnly: boolean;
  progress: ProgressLine;
  signal: AbortSignal;
};

export type Ingested = { documents: VaultDocument[]; failures: IngestFailure[] };

/** Uploads the files one after another, then waits until each is ready or has failed. */
export async function ingestFiles(options: IngestOptions): Promise<Ingested> {
  const { files, progress, storeOnly } = options;
  const stored = new Map<DocumentId, { file: FileToIngest; document: VaultDocument }>();
  const failures: IngestFailure[] = [];
  try {
    for (const [place, file] of files.entries()) {
      try {
        const document = await upload(options, file, place);
        stored.set(document.document_id, { file, document });
        if (storeOnly) progress.log(`stored  ${file.filename}  ${document.document_id}`);
      } catch (error) {
        if (!(error instanceof ApiError) || error.status === 401) throw error;
        failures.push({ file: file.path, code: error.code, message: error.message });
        progress.log(`failed  ${file.filename}  ${error.message}`);
      }
    }
    if (!storeOnly) await waitUntilIndexed(options, stored, failures);
  } finally {
    progress.end();
  }
  return { documents: [...stored.values()].map(({ document }) => document), failures };
}

async function upload(options: IngestOptions, file: FileToIngest, place: number): Promise<VaultDocument> {
  const { api, files, progress, signal, title, visibility, collection } = options;
  const show = (share: number) =>
    progress.update({
      done: place + share,
      total: files.length * 2,
      text: `uploading ${file.filename} (${place + 1} of ${files.length})`,
    });
  show(0);
  return api.request('/v1/vault/documents', vaultDocumentSchema, {
    method: 'POST',
    signal,
    waitOutLimits: WAIT_OUT_LIMITS,
    body: () =>
      multipartBody({
        fields: {
          visibility,
          ...(title === undefined ? {} : { title }),
          ...(collection === undefined ? {} : { collection }),
        },
        file: { path: file.path, filename: file.filename, mediaType: mediaTypeOf(file.filename) },
        onProgress: (bytes) => show(file.byteSize === 0 ? 1 : bytes / file.byteSize),
      }),
  });
}

type Stored = Map<DocumentId, { file: FileToIngest; document: VaultDocument }>;

async function waitUntilIndexed(
  options: IngestOptions,
  stored: Stored,
  failures: IngestFailure[],
): Promise<void> {
  const { api, files, progress, signal } = options;
  const waiting = new Set(stored.keys());
  const settle = (document: VaultDocument) => {
    const entry = stored.get(document.document_id);
    if (entry === undefined) return;
    entry.document = document;
    if (document.status === 'ready') {
      progress.log(`ready   ${entry.file.filename}  ${document.chunk_count} passages`);
    } else if (document.status === 'failed') {
      const error = document.error ?? { code: 'internal_error', message: 'The indexing failed.' };
      failures.push({ file: entry.file.path, ...error });
      progress.log(`failed  ${entry.file.filename}  ${error.message}`);
    } else return;
    waiting.delete(document.document_id);
  };

  for (let pause = FIRST_POLL_MS; waiting.size > 0; pause = Math.min(pause * 1.3, LONGEST_POLL_MS)) {
    await sleep(pause, undefined, { signal });
    const current = await readDocuments(api, waiting, signal);
    for (const id of [...waiting]) {
      const document = current.get(id);
      if (document !== undefined) settle(document);
      else {
        const file = stored.get(id)?.file.path ?? id;
        failures.push({ file, code: 'not_found', message: 'The document was deleted before it was ready.' });
        waiting.delete(id);
      }
    }
    progress.update(indexingProgress([...current.values()], stored.size - waiting.size, files.length));
  }
}

/** What is known of these documents now. The list is newest first, so they are on its first pages. */
async function readDocuments(
  api: ApiClient,
  wanted: ReadonlySet<DocumentId>,
  signal: AbortSignal,
): Promise<Map<DocumentId, VaultDocument>> {
  const found = new Map<DocumentId, VaultDocument>();
  for (let after = ''; found.size < wanted.size; ) {
    const page = await api.request(`/v1/vault/documents?limit=100${after}`, documentPageSchema, {
      signal,
      waitOutLimits: WAIT_OUT_LIMITS,
    });
    for (const document of page.data) {
      if (wanted.has(document.document_id)) found.set(document.document_id, document);
    }
    if (!page.has_more || page.last_id === null) break;
    after = `&after=${encodeURIComponent(page.last_id)}`;
  }
  return found;
}

function indexingProgress(unfinished: readonly VaultDocument[], finished: number, files: number) {
  const active = unfinished.filter(({ status }) => status === 'indexing');
  const part = active.reduce(
    (sum, { progress }) =>
      sum + (progress === null || progress.total === 0 ? 0 : progress.done / progress.total),
    0,
  );
  const [first] = active;
  const detail = first === undefined ? '' : `: ${first.filename}${passagesOf(first)}`;
  return {
    done: files + finished + part,
    total: files * 2,
    text: `indexing, ${finished} of ${files} ready${detail}`,
  };
}

const passagesOf = ({ progress }: VaultDocument): string =>
  progress === null ? '' : ` ${progress.done}/${progress.total} passages`;
