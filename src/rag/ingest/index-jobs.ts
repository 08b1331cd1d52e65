import { fromPglite, type JobWithMetadata, PgBoss } from 'pg-boss';
import { z } from 'zod';
import type { JobsConnection } from '#app/database/jobs-connection.ts';
import { withErrorListener } from '#app/faults/with-error-listener.ts';
import { documentIdSchema, type TenantId, tenantIdSchema, userIdSchema } from '#app/ids.ts';
import type { Lane } from '#rag/ingest/lanes.ts';

const QUEUE = 'vault-index';

/** A payload is input: it comes out of a table that others can write, and is checked against the rows again. */
const payloadSchema = z.strictObject({
  tenant_id: tenantIdSchema,
  user_id: userIdSchema,
  document_id: documentIdSchema,
});
export type IndexJobPayload = z.infer<typeof payloadSchema>;

const EXPIRE_SECONDS = 86_400;
const QUEUE_OPTIONS = {
  retryLimit: 4,
  retryDelay: 2,
  retryBackoff: true,
  retryDelayMax: 60,
  /** The longest that pg-boss allows: a large document takes turns with those of all other tenants. */
  expireInSeconds: EXPIRE_SECONDS,
  deleteAfterSeconds: 3_600,
};

/** Ends an attempt before its job expires and would be given out a second time. */
export const LONGEST_ATTEMPT_MS = (EXPIRE_SECONDS - 600) * 1_000;

/** An attempt at a document. */
export type IndexJob = Readonly<{
  id: string;
  /** Attempts before this one. */
  retryCount: number;
  isLast: boolean;
  lane: Lane;
  /** Undefined: it is not one of ours. */
  payload: IndexJobPayload | undefined;
}>;

/** Jobs that index documents, on pg-boss. At most one a document is waiting or at work. */
export interface IndexJobs {
  /** Throws away jobs of earlier processes. */
  start(): Promise<void>;
  /** `isAtWork` says whether this process works on the document. */
  send(payload: IndexJobPayload, lane: Lane, isAtWork: () => boolean): Promise<void>;
  /** Gives out the jobs of the lane that have waited longest, `count` at most. */
  take(lane: Lane, count: number): Promise<IndexJob[]>;
  complete(job: IndexJob): Promise<void>;
  /** The job comes again after a while, unless this was its last attempt. */
  fail(job: IndexJob, error: unknown): Promise<void>;
  removeTenant(tenantId: TenantId): Promise<void>;
  close(): Promise<void>;
}

/** Connections of the queue are replaced this often, so that none keeps a login that was replaced. */
const CONNECTION_LIFETIME_SECONDS = 300;
/** Its few statements are short. */
const CONNECTIONS = 4;
const STOP_TIMEOUT_MS = 10_000;

export function createIndexJobs(connection: JobsConnection, onError: (error: unknown) => void): IndexJobs {
  const boss = withErrorListener(
    new PgBoss({
      ...(connection.kind === 'pglite'
        ? { db: fromPglite(connection.pglite), backend: 'pglite' as const }
        : {
            // `pg` takes the class of its clients with the options of a pool, and the queue passes them on.
            ...{ Client: connection.Client, maxLifetimeSeconds: CONNECTION_LIFETIME_SECONDS },
            max: CONNECTIONS,
            application_name: 'bulkhead-jobs',
          }),
      schedule: false,
    }),
    onError,
  );
  let isStarted = false;

  /** Removes a job that was given out to this process without its noticing: the reply to a `take` was lost. */
  async function removeLost(documentId: string, isAtWork: () => boolean): Promise<boolean> {
    const active = (await boss.findJobs(QUEUE, { key: documentId })).filter(
      ({ state }) => state === 'active',
    );
    if (active.length === 0 || isAtWork()) return false;
    await boss.deleteJob(
      QUEUE,
      active.map(({ id }) => id),
    );
    return true;
  }

  return {
    async start() {
      await boss.start();
      isStarted = true;
      await boss.createQueue(QUEUE, { policy: 'exclusive', ...QUEUE_OPTIONS });
      await boss.updateQueue(QUEUE, QUEUE_OPTIONS);
      // Only one process may write a vault's index at a time, so jobs that are still at work are of a dead one. Left
      // alone they would hold their documents back until they expire.
      await boss.deleteAllJobs(QUEUE);
    },
    async send(payload, lane, isAtWork) {
      // The policy of the queue: one job a key, waiting or at work. A second one is not made.
      const options = { singletonKey: payload.document_id, priority: lane.index };
      const id = await boss.send(QUEUE, payload, options);
      if (id !== null) return;
      if (await removeLost(payload.document_id, isAtWork)) await boss.send(QUEUE, payload, options);
    },
    async take(lane, count) {
      const jobs: JobWithMetadata<unknown>[] = await boss.fetch(QUEUE, {
        includeMetadata: true,
        batchSize: count,
        minPriority: lane.index,
        maxPriority: lane.index,
      });
      return jobs.map(({ id, retryCount, retryLimit, data }) => {
        const payload = payloadSchema.safeParse(data);
        return {
          id,
          retryCount,
          isLast: retryCount >= retryLimit,
          lane,
          payload: payload.success ? payload.data : undefined,
        };
      });
    },
    async complete({ id, retryCount }) {
      await boss.complete(QUEUE, { id, retryCount });
    },
    async fail({ id, retryCount }, error) {
      const message = error instanceof Error ? error.message : String(error);
      await boss.fail(QUEUE, { id, retryCount }, { message });
    },
    async removeTenant(tenantId) {
      if (!isStarted) return;
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
      if (isStarted) await boss.stop({ graceful: true, timeout: STOP_TIMEOUT_MS });
    },
  };
}
