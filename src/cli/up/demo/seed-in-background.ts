import { isAbort } from '#app/errors/bulkhead-error.ts';
import type { RagService } from '#app/services/rag-service.ts';
import type { DemoState } from '#cli/up/demo/demo-state.ts';
import { seedDemoDocuments } from '#cli/up/demo/seed-demo-documents.ts';
import { type IndexingProgress, waitUntilIndexed } from '#cli/up/demo/wait-until-indexed.ts';
import type { StartupReport } from '#cli/up/startup-report.ts';
import type { Logger } from '#observability/logger.ts';

export type BackgroundSeeding = {
  /** Resolves when everything is indexed, has failed, or the seeding was stopped. Never rejects. */
  readonly finished: Promise<void>;
  stop(): Promise<void>;
};

/** Seeds the demo documents while the server answers already, and tells people how far it is. */
export function seedInBackground(options: {
  rag: RagService;
  state: DemoState;
  report: StartupReport;
  logger: Logger;
}): BackgroundSeeding {
  const { rag, state, report, logger } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  const log = (message: string) => report.line(message);

  async function seed(): Promise<void> {
    const started = performance.now();
    const documents = await seedDemoDocuments({ rag, state, signal, log });
    let waited = false;
    await waitUntilIndexed({
      documents,
      rag,
      signal,
      onProgress(progress) {
        if (!progress.finished) {
          if (!waited) report.line('Demo: indexing the documents; the first can be asked about already.');
          waited = true;
          report.status(`Demo: ${describe(progress)} documents indexed`);
        } else if (waited) {
          const seconds = ((performance.now() - started) / 1000).toFixed(0);
          report.status('');
          report.line(`Demo: ${describe(progress)} documents indexed in ${seconds} s.`);
        }
      },
      onFailed: ({ tenant_id, filename, error }) =>
        log(`Demo: ${filename} of ${tenant_id} was not indexed: ${error?.message ?? 'no reason is known'}`),
    });
  }

  const finished = seed().catch((error: unknown) => {
    if (signal.aborted || isAbort(error)) return;
    logger.error({ event: 'demo_seed_failed', err: error }, 'the demo could not be seeded');
    log('Demo: the documents could not be added; the next start tries again. The log says why.');
  });
  return {
    finished,
    async stop() {
      stopping.abort(new DOMException('Bulkhead is stopping.', 'AbortError'));
      await finished;
    },
  };
}

const describe = ({ tenants }: IndexingProgress): string =>
  tenants.map(({ tenantId, settled, total }) => `${tenantId} ${settled} of ${total}`).join(', ');
