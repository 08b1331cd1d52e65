import { setTimeout as sleep } from 'node:timers/promises';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { VaultDocument } from '#app/schemas/vault-document.ts';
import type { RagService } from '#app/services/rag-service.ts';
import type { SeededDocument } from '#cli/up/demo/seed-demo-documents.ts';

const POLL_MS = 500;

/** Waits until every document is indexed, has failed or is gone. Documents are indexed in the order given. */
export async function waitUntilIndexed(options: {
  documents: readonly SeededDocument[];
  rag: RagService;
  signal: AbortSignal;
  /** Called at every look; `done` counts what is settled. */
  onProgress: (progress: { done: number; total: number; current: VaultDocument | null }) => void;
  onFailed: (document: VaultDocument) => void;
}): Promise<void> {
  const { documents, rag, signal, onProgress, onFailed } = options;
  let done = 0;
  for (;;) {
    let current: VaultDocument | null = null;
    for (let next = documents[done]; next !== undefined; next = documents[done]) {
      const document = await readDocument(rag, next, signal);
      if (document?.status === 'pending' || document?.status === 'indexing') {
        current = document;
        break;
      }
      if (document?.status === 'failed') onFailed(document);
      done += 1;
    }
    onProgress({ done, total: documents.length, current });
    if (done === documents.length) return;
    await sleep(POLL_MS, undefined, { signal });
  }
}

/** null: it was deleted in the meantime. */
async function readDocument(
  rag: RagService,
  { context, documentId }: SeededDocument,
  signal: AbortSignal,
): Promise<VaultDocument | null> {
  try {
    return await rag.getDocument(context, documentId, signal);
  } catch (error) {
    if (error instanceof BulkheadError && error.code === 'not_found') return null;
    throw error;
  }
}
