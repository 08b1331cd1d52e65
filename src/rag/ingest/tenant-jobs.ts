import type { DocumentId, TenantId } from '#app/ids.ts';
import type { WantedDocuments } from '#rag/documents/indexing-rows.ts';
import { LANES, type Lane, OLDEST_EVERY } from '#rag/ingest/lanes.ts';

/** `retrying`: failed, and waits for its next attempt. */
export type JobState = 'queued' | 'running' | 'retrying';

type Tenant = {
  readonly jobs: Map<DocumentId, { lane: Lane; state: JobState }>;
  /** Documents that were taken on so far, a count a lane. */
  readonly taken: number[];
};

/** Documents that fail and wait for another attempt leave their place to others of the tenant, up to this many a lane. */
const RETRYING_A_LANE = 16;

/** Which documents have a job, by tenant: what each tenant may still have under way. */
export class TenantJobs {
  readonly #tenants = new Map<TenantId, Tenant>();
  readonly #perLane: number;

  /** `perLane`: documents of one tenant that are queued or at work at once, in each lane. */
  constructor(perLane: number) {
    this.#perLane = perLane;
  }

  set(tenantId: TenantId, documentId: DocumentId, lane: Lane, state: JobState): void {
    const tenant = this.#tenants.get(tenantId) ?? { jobs: new Map(), taken: LANES.map(() => 0) };
    this.#tenants.set(tenantId, tenant);
    if (!tenant.jobs.has(documentId)) tenant.taken[lane.index] = (tenant.taken[lane.index] ?? 0) + 1;
    tenant.jobs.set(documentId, { lane, state });
  }

  delete(tenantId: TenantId, documentId: DocumentId): void {
    this.#tenants.get(tenantId)?.jobs.delete(documentId);
  }

  /** Called when nothing more was found for the tenant: until then it is remembered whose turn is next. */
  forgetIfDone(tenantId: TenantId): void {
    if (this.#tenants.get(tenantId)?.jobs.size === 0) this.#tenants.delete(tenantId);
  }

  forget(tenantId: TenantId): void {
    this.#tenants.delete(tenantId);
  }

  documentsOf(tenantId: TenantId): DocumentId[] {
    return [...(this.#tenants.get(tenantId)?.jobs.keys() ?? [])];
  }

  /** What the tenant may have queued in addition to what it has. */
  wanted(tenantId: TenantId): WantedDocuments[] {
    const tenant = this.#tenants.get(tenantId);
    return LANES.flatMap((lane): WantedDocuments[] => {
      const own = [...(tenant?.jobs.values() ?? [])].filter((job) => job.lane === lane);
      const retrying = own.filter(({ state }) => state === 'retrying').length;
      const held = own.length - Math.min(retrying, RETRYING_A_LANE);
      const count = this.#perLane - held;
      if (count <= 0) return [];
      const taken = tenant?.taken[lane.index] ?? 0;
      const oldest = Math.floor((taken + count) / OLDEST_EVERY) > Math.floor(taken / OLDEST_EVERY) ? 1 : 0;
      return [
        { lane, order: 'oldest' as const, count: oldest },
        { lane, order: 'smallest' as const, count: count - oldest },
      ].filter((wanted) => wanted.count > 0);
    });
  }
}
