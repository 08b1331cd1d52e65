import { fromPglite, type JobWithMetadata, PgBoss } from 'pg-boss';
import { z } from 'zod';
import type { Database } from '#app/database/database.ts';
import type { JobsConnection } from '#app/database/jobs-connection.ts';
import { type DocumentId, documentIdSchema, type TenantId, tenantIdSchema, userIdSchema } from '#app/ids.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import type { Logger } from '#observability/logger.ts';
import { listUnfinished } from '#rag/documents/indexing-rows.ts';
import { backgroundContext } from '#rag/ingest/background-context.ts';
import type { ProcessDocument } from '#rag/ingest/process-document.ts';

const QUEUE = 'vault-index';

/** A payload is input: it comes out of a table that others can write, and is checked against the rows again. */
const payloadSchema = z.strictObject({
  tenant_id: tenantIdSchema,
  user_id: userIdSchema,
  document_id: documentIdSchema,
});

const QUEUE_OPTIONS = {
  retryLimit: 4,
  retryDelay: 2,
  retryBackoff: true,
  retryDelayMax: 60,
  /** Longer than the largest document takes on one core. */
  expireInSeconds: 7_200,
  deleteAfterSeconds: 3_600,
};

/** Connections of the queue are replaced this often, so that none keeps a login that was replaced. */
const CONNECTION_LIFETIME_SECONDS = 300;

const WAKE_RETRY_MS = 5_000;
const STOP_TIMEOUT_MS = 10_000;

export type IngestQueueOptions = Readonly<{
  jobs: JobsConnection;
  database: Database;
  process: ProcessDocument;
  /** Documents processed at once. */
  workers: number;
  logger: Logger;
  /** How often a worker looks for jobs that nobody told it of, seconds; at least 0.5. */
  pollSeconds?: number;
}>;

/**
 * Jobs that index documents, on pg-boss. The rows of unfinished documents are the truth, and a job only says whose
 * turn it is: of each tenant at most `workers` jobs exist at a time, and each finished one queues that tenant's next.
 * So tenants take turns in the queue, and ten thousand documents of one put another's first behind a few, not behind
 * them all.
 */
export interface IngestQueue {
  /** Throws away jobs of earlier processes (their rows are queued again by {@link wake}) and begins to work. */
  start(): Promise<void>;
  /** Queues the tenant's oldest unfinished documents, where they are not queued. Never throws: it tries again. */
  wake(context: TenantContext): Promise<void>;
  /** Stops the work on a document that is being deleted. */
  cancel(documentId: DocumentId): void;
  /** Stops the work on all documents of the tenant, waits until it has stopped, and removes its jobs. */
  dropTenant(context: TenantContext): Promise<void>;
  /** Stops the work under way, which the next start takes up again. */
  close(): Promise<void>;
}

type Running = { tenantId: TenantId; cancelled: AbortController; ended: Promise<void> };

export function createIngestQueue(options: IngestQueueOptions): IngestQueue {
  const { jobs, database, process, workers, logger, pollSeconds = 2 } = options;
  const boss = new PgBoss({
    ...(jobs.kind === 'pglite'
      ? { db: fromPglite(jobs.pglite), backend: 'pglite' as const }
      : // `pg` takes the class of its clients with the options of a pool, and the queue passes them on.
        {
          ...{ Client: jobs.Client, maxLifetimeSeconds: CONNECTION_LIFETIME_SECONDS },
          max: workers + 2,
          application_name: 'bulkhead-jobs',
        }),
    schedule: false,
  });
  boss.on('error', (error) => logger.error({ event: 'ingest_queue_error', err: error }, 'job queue failed'));

  const closing = new AbortController();
  const running = new Map<DocumentId, Running>();
  const retries = new Map<TenantId, NodeJS.Timeout>();
  const workerIds: string[] = [];
  let started = false;

  async function queueOldest(context: TenantContext): Promise<void> {
    const unfinished = await database.asTenant(context, (transaction) =>
      listUnfinished(transaction, workers),
    );
    for (const { documentId, userId } of unfinished) {
      const payload = { tenant_id: context.tenantId, user_id: userId, document_id: documentId };
      // The policy of the queue: one job a key, waiting or at work. A second one is not made.
      await boss.send(QUEUE, payload, { singletonKey: documentId });
    }
    if (unfinished.length > 0) for (const id of workerIds) boss.notifyWorker(id);
  }

  async function wake(context: TenantContext): Promise<void> {
    if (!started || closing.signal.aborted) return;
    try {
      await queueOldest(context);
    } catch (error) {
      if (closing.signal.aborted) return;
      logger.warn(
        { event: 'ingest_wake_failed', tenant_id: context.tenantId, err: error },
        'queueing failed',
      );
      clearTimeout(retries.get(context.tenantId));
      const retry = () => {
        retries.delete(context.tenantId);
        void wake(context);
      };
      retries.set(context.tenantId, setTimeout(retry, WAKE_RETRY_MS).unref());
    }
  }

  async function work(job: JobWithMetadata<unknown>): Promise<void> {
    const payload = payloadSchema.safeParse(job.data);
    if (!payload.success) {
      logger.error({ event: 'ingest_payload_refused', job_id: job.id, err: payload.error }, 'job refused');
      return;
    }
    const { tenant_id, user_id, document_id } = payload.data;
    const context = backgroundContext(tenant_id, user_id);
    const cancelled = new AbortController();
    const ended = Promise.withResolvers<void>();
    running.set(document_id, { tenantId: tenant_id, cancelled, ended: ended.promise });
    const signal = AbortSignal.any([cancelled.signal, closing.signal, job.signal]);
    const isLast = job.retryCount >= job.retryLimit;
    try {
      await process(context, { documentId: document_id, userId: user_id }, { signal, isLast });
    } catch (error) {
      // Deleted while it was indexed: done, and its remains are for whoever deletes it.
      if (cancelled.signal.aborted) return;
      if (!closing.signal.aborted) {
        const fields = { tenant_id, user_id, document_id, attempt: job.retryCount + 1 };
        logger.warn({ event: 'ingest_attempt_failed', ...fields, err: error }, 'indexing is tried again');
      }
      throw error;
    } finally {
      running.delete(document_id);
      ended.resolve();
      await wake(context);
    }
  }

  return {
    async start() {
      await boss.start();
      await boss.createQueue(QUEUE, { policy: 'exclusive', ...QUEUE_OPTIONS });
      // Only one process may write a vault's index at a time, so jobs that are still at work are of a dead one. Left
      // alone they would hold their documents back until they expire.
      await boss.deleteAllJobs(QUEUE);
      started = true;
      for (let i = 0; i < workers; i++) {
        const id = await boss.work(
          QUEUE,
          { includeMetadata: true, batchSize: 1, pollingIntervalSeconds: pollSeconds },
          async (batch: JobWithMetadata<unknown>[]) => {
            for (const job of batch) await work(job);
          },
        );
        workerIds.push(id);
      }
    },
    wake,
    cancel(documentId) {
      running.get(documentId)?.cancelled.abort(new DOMException('The document was deleted.', 'AbortError'));
    },
    async dropTenant({ tenantId }) {
      clearTimeout(retries.get(tenantId));
      retries.delete(tenantId);
      const ofTenant = [...running.values()].filter((job) => job.tenantId === tenantId);
      for (const { cancelled } of ofTenant) {
        cancelled.abort(new DOMException('The tenant is being erased.', 'AbortError'));
      }
      await Promise.all(ofTenant.map(({ ended }) => ended));
      if (!started) return;
      // Jobs that have ended are kept for a while, and name users.
      for (;;) {
        const found = await boss.findJobs(QUEUE, { data: { tenant_id: tenantId } });
        if (found.length === 0) return;
        await boss.deleteJob(
          QUEUE,
          found.map(({ id }) => id),
        );
      }
    },
    async close() {
      closing.abort(new DOMException('The service is shutting down.', 'AbortError'));
      for (const timer of retries.values()) clearTimeout(timer);
      retries.clear();
      if (started) await boss.stop({ graceful: true, timeout: STOP_TIMEOUT_MS });
    },
  };
}
