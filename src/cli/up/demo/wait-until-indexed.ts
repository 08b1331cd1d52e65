import { setTimeout as sleep } from 'node:timers/promises';
import type { DocumentId, TenantId } from '#app/ids.ts';
import type { VaultDocument } from '#app/schemas/vault-document.ts';
import type { RagService } from '#app/services/rag-service.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import type { SeededDocument } from '#cli/up/demo/seed-demo-documents.ts';

const POLL_MS = 500;
const PAGE = 100;

export type IndexingProgress = {
  /** By tenant, in the order given. What was deleted is not counted. */
  tenants: { tenantId: TenantId; settled: number; total: number }[];
  finished: boolean;
};

/** Waits until every document is indexed, has failed or is gone. */
export async function waitUntilIndexed(options: {
  documents: readonly SeededDocument[];
  rag: RagService;
  signal: AbortSignal;
  /** Called at every look, the last one included. */
  onProgress: (progress: IndexingProgress) => void;
  /** Called once for each. */
  onFailed: (document: VaultDocument) => void;
}): Promise<void> {
  const { documents, rag, signal, onProgress, onFailed } = options;
  const contexts = [...new Set(documents.map(({ context }) => context))];
  const wanted = new Set(documents.map(({ documentId }) => documentId));
  const failed = new Set<DocumentId>();
  for (;;) {
    const tenants: IndexingProgress['tenants'] = [];
    for (const context of contexts) {
      const found = (await listAll(rag, context, signal)).filter((each) => wanted.has(each.document_id));
      const settled = found.filter(({ status }) => status === 'ready' || status === 'failed');
      tenants.push({ tenantId: context.tenantId, settled: settled.length, total: found.length });
      for (const document of settled) {
        if (document.status !== 'failed' || failed.has(document.document_id)) continue;
        failed.add(document.document_id);
        onFailed(document);
      }
    }
    const finished = tenants.every(({ settled, total }) => settled === total);
    onProgress({ tenants, finished });
    if (finished) return;
    await sleep(POLL_MS, undefined, { signal });
  }
}

async function listAll(
  rag: RagService,
  context: TenantContext,
  signal: AbortSignal,
): Promise<VaultDocument[]> {
  const all: VaultDocument[] = [];
  for (let after: string | undefined; ; ) {
    const page = await rag.listDocuments(
      context,
      { limit: PAGE, ...(after === undefined ? {} : { after }) },
      signal,
    );
    all.push(...page.data);
    if (!page.has_more || page.last_id === null) return all;
    after = page.last_id;
  }
}
