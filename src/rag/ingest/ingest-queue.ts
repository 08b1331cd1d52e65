import { setTimeout as delay } from 'node:timers/promises';
import type { Database } from '#app/database/database.ts';
import type { JobsConnection } from '#app/database/jobs-connection.ts';
import type { DocumentId, TenantId } from '#app/ids.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import type { Logger } from '#observability/logger.ts';
import { listUnfinished } from '#rag/documents/indexing-rows.ts';
import { backgroundContext } from '#rag/ingest/background-context.ts';
import {
  createIndexJobs,
  type IndexJob,
  type IndexJobPayload,
  LONGEST_ATTEMPT_MS,
} from '#rag/ingest/index-jobs.ts';
import { LANES, type Lane } from '#rag/ingest/lanes.ts';
import type { ProcessDocument } from '#rag/ingest/process-document.ts';
import { shareRuns } from '#rag/ingest/share-runs.ts';
import { TenantJobs } from '#rag/ingest/tenant-jobs.ts';

const RETRY_MS = 5_000;
const STOP_TIMEOUT_MS = 10_000;

const tenantOf = ({ tenantId }: TenantContext) => tenantId;
const indexOf = ({ index }: Lane) => index;

export type IngestQueueOptions = Readonly<{
  jobs: JobsConnection;
  database: Database;
  process: ProcessDocument;
  /** Documents of one tenant that are processed at once, in each lane. */
  workers: number;
  logger: Logger;
  /** How often it looks for jobs that are due without a call of `wake`, such as retries; seconds. */
  pollSeconds?: number;
}>;

/**
 * Jobs that index documents, on pg-boss. The rows of unfinished documents are the truth, and a job only says whose turn it
 * is: a tenant has at most `workers` jobs in each lane of sizes, and each that ends queues that tenant's next, smallest
 * first. So ten thousand documents of one tenant put another's first behind one of them at most, and a note behind no
 * large file. See `lanes.ts`.
 */
export interface IngestQueue {
  /** Throws away jobs of earlier processes (their rows are queued again by {@link wake}) and begins to work. */
  start(): Promise<void>;
  /** Queues the tenant's next unfinished documents, where they are not queued. Never throws: it tries again. */
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
  const { database, process, workers, logger, pollSeconds = 2 } = options;
  const jobs = createIndexJobs(options.jobs, (error) =>
    logger.error({ event: 'ingest_queue_error', err: error }, 'job queue failed'),
  );
  const tenantJobs = new TenantJobs(workers);
  const closing = new AbortController();
  const running = new Map<DocumentId, Running>();
  /** Places of each lane that are taken, by its index. */
  const busy = LANES.map(() => 0);
  const underWay = new Set<Promise<void>>();
  const retries = new Map<TenantId, NodeJS.Timeout>();
  const erasing = new Set<TenantId>();
  let poll: NodeJS.Timeout | undefined;
  let started = false;

  async function queueNext(context: TenantContext): Promise<void> {
    const { tenantId } = context;
    const wanted = tenantJobs.wanted(tenantId);
    const found = await database.asTenant(context, (transaction) =>
      listUnfinished(transaction, wanted, tenantJobs.documentsOf(tenantId)),
    );
    const lanes = new Set<Lane>();
    for (const { documentId, userId, lane } of found) {
      const payload = { tenant_id: tenantId, user_id: userId, document_id: documentId };
      await jobs.send(payload, lane, () => running.has(documentId));
      tenantJobs.set(tenantId, documentId, lane, 'queued');
      lanes.add(lane);
    }
    tenantJobs.forgetIfDone(tenantId);
    for (const lane of lanes) void fill(lane);
  }

  const wake = shareRuns(tenantOf, async (context: TenantContext) => {
    if (!started || closing.signal.aborted || erasing.has(context.tenantId)) return;
    try {
      await queueNext(context);
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
      retries.set(context.tenantId, setTimeout(retry, RETRY_MS).unref());
    }
  });

  const freePlaces = ({ index, places }: Lane) => Math.max(places, workers) - (busy[index] ?? 0);

  /** Takes jobs until the lane's places are taken or it has none. */
  const fill = shareRuns(indexOf, async (lane: Lane) => {
    try {
      for (;;) {
        const free = freePlaces(lane);
        if (free <= 0 || closing.signal.aborted) return;
        const taken = await jobs.take(lane, free);
        for (const job of taken) begin(job);
        if (taken.length < free) return;
      }
    } catch (error) {
      if (closing.signal.aborted) return;
      logger.error({ event: 'ingest_queue_error', err: error }, 'job queue failed');
    }
  });

  function begin(job: IndexJob): void {
    const { index } = job.lane;
    busy[index] = (busy[index] ?? 0) + 1;
    const attempting = attempt(job).finally(() => {
      // Where a place was free, no job waited for one.
      const wasFull = freePlaces(job.lane) === 0;
      busy[index] = (busy[index] ?? 0) - 1;
      underWay.delete(attempting);
      if (wasFull) void fill(job.lane);
    });
    underWay.add(attempting);
  }

  async function attempt(job: IndexJob): Promise<void> {
    const { payload } = job;
    if (payload === undefined) {
      logger.error({ event: 'ingest_payload_refused', job_id: job.id }, 'job refused');
      return settle(() => jobs.complete(job));
    }
    const { tenant_id, user_id, document_id } = payload;
    if (running.has(document_id)) return settle(() => jobs.complete(job));
    const context = backgroundContext(tenant_id, user_id);
    tenantJobs.set(tenant_id, document_id, job.lane, 'running');
    const failure = await work(context, payload, job);
    // Its place in the lane is held until the queue knows: it would give the document out again.
    if (failure === undefined) {
      await settle(() => jobs.complete(job));
      tenantJobs.delete(tenant_id, document_id);
    } else {
      await settle(() => jobs.fail(job, failure.error));
      if (job.isLast || erasing.has(tenant_id)) tenantJobs.delete(tenant_id, document_id);
      else tenantJobs.set(tenant_id, document_id, job.lane, 'retrying');
    }
    await wake(context);
  }

  /** Returns the failure after which the document is to be tried again. */
  async function work(
    context: TenantContext,
    { tenant_id, user_id, document_id }: IndexJobPayload,
    { retryCount, isLast }: IndexJob,
  ): Promise<{ error: unknown } | undefined> {
    const cancelled = new AbortController();
    const ended = Promise.withResolvers<void>();
    running.set(document_id, { tenantId: tenant_id, cancelled, ended: ended.promise });
    const tooLong = new AbortController();
    const timer = setTimeout(
      () => tooLong.abort(new DOMException('Indexing took too long.', 'TimeoutError')),
      LONGEST_ATTEMPT_MS,
    ).unref();
    const signal = AbortSignal.any([cancelled.signal, closing.signal, tooLong.signal]);
    try {
      await process(context, { documentId: document_id, userId: user_id }, { signal, isLast });
      return undefined;
    } catch (error) {
      // Deleted while it was indexed: done, and its remains are for whoever deletes it.
      if (cancelled.signal.aborted) return undefined;
      if (!closing.signal.aborted) {
        const fields = { tenant_id, user_id, document_id, attempt: retryCount + 1 };
        logger.warn({ event: 'ingest_attempt_failed', ...fields, err: error }, 'indexing is tried again');
      }
      return { error };
    } finally {
      clearTimeout(timer);
      running.delete(document_id);
      ended.resolve();
    }
  }

  /** Until the database has taken it; a process that stops leaves it to the next start. */
  async function settle(report: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        return await report();
      } catch (error) {
        if (closing.signal.aborted) return;
        logger.warn({ event: 'ingest_queue_error', err: error }, 'the end of a job could not be recorded');
        await delay(RETRY_MS, undefined, { signal: closing.signal, ref: false }).catch(() => undefined);
      }
    }
  }

  return {
    async start() {
      await jobs.start();
      started = true;
      const fillAll = () => {
        for (const lane of LANES) void fill(lane);
      };
      fillAll();
      poll = setInterval(fillAll, pollSeconds * 1_000).unref();
    },
    wake,
    cancel(documentId) {
      running.get(documentId)?.cancelled.abort(new DOMException('The document was deleted.', 'AbortError'));
    },
    async dropTenant({ tenantId }) {
      erasing.add(tenantId);
      try {
        clearTimeout(retries.get(tenantId));
        retries.delete(tenantId);
        const ofTenant = [...running.values()].filter((job) => job.tenantId === tenantId);
        for (const { cancelled } of ofTenant) {
          cancelled.abort(new DOMException('The tenant is being erased.', 'AbortError'));
        }
        await Promise.all(ofTenant.map(({ ended }) => ended));
        await jobs.removeTenant(tenantId);
        tenantJobs.forget(tenantId);
      } finally {
        erasing.delete(tenantId);
      }
    },
    async close() {
      closing.abort(new DOMException('The service is shutting down.', 'AbortError'));
      clearInterval(poll);
      for (const timer of retries.values()) clearTimeout(timer);
      retries.clear();
      await Promise.race([Promise.all(underWay), delay(STOP_TIMEOUT_MS, undefined, { ref: false })]);
      await jobs.close();
    },
  };
}
