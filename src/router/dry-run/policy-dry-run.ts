import { isDeepStrictEqual } from 'node:util';
import type { Database } from '#app/database/database.ts';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { FairSemaphore } from '#app/fair/fair-semaphore.ts';
import { firstIdAt, type TenantId, timeOfId } from '#app/ids.ts';
import type { PolicyDryRun } from '#app/schemas/policy-dry-run.ts';
import { type RequestLogDetail, requestLogDetailSchema } from '#app/schemas/request-log.ts';
import { type TenantConfig, type TenantConfigPatch, tenantConfigSchema } from '#app/schemas/tenant-config.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import { turnOfTenant } from '#app/turn-of-tenant.ts';
import { appendEvents } from '#router/audit/append-events.ts';
import { type Change, createPolicyReplay } from '#router/dry-run/replay-policy.ts';
import { compileNewPolicy } from '#router/policy/compile-policy.ts';
import { mergeConfig } from '#router/tenants/merge-config.ts';
import type { TenantStore } from '#router/tenants/tenant-store.ts';

export interface PolicyDryRunner {
  /**
   * Replays the newest requests of the log under the draft. Writes nothing but an event of the audit. Throws
   * `service_unavailable` while another runs.
   */
  run(request: {
    context: TenantContext;
    author: string;
    patch: TenantConfigPatch;
    from: Date | null;
    to: Date | null;
    limit: number;
    signal: AbortSignal;
  }): Promise<PolicyDryRun>;
}

/** Rows in memory at once: with bodies they are large. */
const BATCH = 100;
const MAX_CONFIGS = 4;
/** At once in one process; of one tenant, one. */
const MAX_RUNS = 4;
/** Tenants that may wait for one, and how long, milliseconds: longer than a run takes. */
const MAX_WAITING = 64;
const MAX_WAIT_MS = 15_000;
const RETRY_AFTER_MS = 5_000;
/** Requests before the first that is judged, so that its windows are as full as they were. */
const MAX_WARM_UP = 5_000;
const HOUR_MS = 3_600_000;
/** After this long the answer is about what has been looked at. */
const MAX_MS = 10_000;
const SLICE_MS = 5;
const MAX_RULES = 200;
const SAMPLES = 5;

/** Fields that decide over requests, and are not replayed. */
const NOT_REPLAYED: readonly (keyof TenantConfig)[] = [
  'budget_usd_per_month',
  'identity',
  'pii',
  'guardrails',
  'retention_days',
  'responses',
];

export function createPolicyDryRunner(options: {
  database: Database;
  tenants: Pick<TenantStore, 'get'>;
  monotonicNow: () => number;
}): PolicyDryRunner {
  const { database, tenants, monotonicNow } = options;
  const running = new Set<TenantId>();
  const places = new FairSemaphore({
    resource: 'dry runs',
    capacity: MAX_RUNS,
    maxWaiting: MAX_WAITING,
    maxWaitMs: MAX_WAIT_MS,
  });

  /** Newest first, so that what is left out is the oldest. Ids alone: rows may be large, and are read a batch at a time. */
  async function newest(
    context: TenantContext,
    range: { from: Date | null; to: Date | null; before: string | null },
    limit: number,
  ): Promise<string[]> {
    const rows = await database.asTenant(context, (transaction) =>
      transaction.query(
        `SELECT request_id FROM bulkhead.request_log
          WHERE tenant_id = $1 AND ($2::text IS NULL OR request_id >= $2) AND ($3::text IS NULL OR request_id < $3)
            AND ($4::text IS NULL OR request_id < $4)
          ORDER BY request_id DESC LIMIT $5`,
        [
          context.tenantId,
          range.from === null ? null : firstIdAt('req', range.from.getTime()),
          range.to === null ? null : firstIdAt('req', range.to.getTime()),
          range.before,
          limit,
        ],
      ),
    );
    return rows.map(({ request_id }) => String(request_id));
  }

  /** In the order of the ids. */
  async function* read(
    context: TenantContext,
    ids: readonly string[],
    columns: string,
    signal: AbortSignal,
  ): AsyncGenerator<RequestLogDetail, void> {
    for (let at = 0; at < ids.length; at += BATCH) {
      signal.throwIfAborted();
      const rows = await database.asTenant(context, (transaction) =>
        transaction.query(
          `SELECT tenant_id, request_id, user_id, route, model, status, outcome, refusal_reason, latency_ms, decision, ${columns}
             FROM bulkhead.request_log
            WHERE tenant_id = $1 AND request_id IN (SELECT jsonb_array_elements_text($2::jsonb)) ORDER BY request_id`,
          [context.tenantId, JSON.stringify(ids.slice(at, at + BATCH))],
        ),
      );
      for (const row of rows) {
        const created_at = new Date(timeOfId(String(row.request_id))).toISOString();
        yield requestLogDetailSchema.parse({ ...row, created_at });
      }
    }
  }

  /** The configs of versions, the last few of which are remembered: requests come in the order of their times. */
  function configsOf(tenantId: TenantId): (version: number) => Promise<TenantConfig | null> {
    const known = new Map<number, TenantConfig | null>();
    return async (version) => {
      const remembered = known.get(version);
      if (remembered !== undefined) return remembered;
      const [row] = await database.asSystem(
        (transaction) =>
          transaction.query(
            'SELECT config FROM bulkhead.tenant_config_versions WHERE tenant_id = $1 AND config_version = $2',
            [tenantId, version],
          ),
        tenantId,
      );
      // One that an older version of the platform wrote and this one cannot read is one that is not known.
      const config = tenantConfigSchema.safeParse(row?.config).data ?? null;
      known.set(version, config);
      const [oldest] = known.keys();
      if (known.size > MAX_CONFIGS && oldest !== undefined) known.delete(oldest);
      return config;
    };
  }

  async function run(request: Parameters<PolicyDryRunner['run']>[0]): Promise<PolicyDryRun> {
    const { context, author, patch, from, to, limit, signal } = request;
    const started = monotonicNow();
    const tenant = await tenants.get(context.tenantId);
    const draft = await compileNewPolicy(mergeConfig(tenant.config, patch), tenant.version + 1);
    const found = await newest(context, { from, to, before: null }, limit + 1);
    const judged = found.slice(0, limit).reverse();
    const first = judged[0] ?? null;
    const hourBefore = first === null ? null : new Date(timeOfId(first) - HOUR_MS);
    const warmUp =
      first === null ? [] : await newest(context, { from: hourBefore, to: null, before: first }, MAX_WARM_UP);
    const replay = createPolicyReplay({ draft, configOf: configsOf(context.tenantId) });

    let slice = monotonicNow();
    const breathe = async () => {
      if (monotonicNow() - slice <= SLICE_MS) return;
      await turnOfTenant(context.tenantId);
      signal.throwIfAborted();
      slice = monotonicNow();
    };
    for await (const earlier of read(context, warmUp.reverse(), 'NULL::jsonb AS bodies', signal)) {
      await replay.judge(earlier);
      await breathe();
    }
    const changes: Change[] = [];
    let looked = 0;
    let last: string | null = null;
    for await (const later of read(context, judged, 'bodies', signal)) {
      if (monotonicNow() - started > MAX_MS) break;
      const change = await replay.judge(later);
      last = later.created_at;
      if (change !== null) changes.push(change);
      looked += 1;
      await breathe();
    }
    await database.asSystem(
      (transaction) =>
        appendEvents(transaction, context.tenantId, [
          {
            actor: author,
            tenantId: context.tenantId,
            action: 'policy.dry_run',
            target: context.tenantId,
            outcome: 'done',
            details: { fields: Object.keys(patch).sort(), requests: looked, version: tenant.version },
          },
        ]),
      context.tenantId,
    );
    const countOf = (wanted: Change['change']) => changes.filter(({ change }) => change === wanted).length;
    return {
      tenant_id: context.tenantId,
      config_version: tenant.version,
      requests: looked,
      from: first === null ? null : new Date(timeOfId(first)).toISOString(),
      to: last,
      truncated: found.length > limit || looked < judged.length,
      unchanged: looked - changes.length,
      newly_refused: countOf('newly_refused'),
      newly_allowed: countOf('newly_allowed'),
      undecidable: countOf('undecidable'),
      by_rule: byRule(changes),
      not_replayed: NOT_REPLAYED.filter(
        (field) => !isDeepStrictEqual(draft.config[field], tenant.config[field]),
      ),
    };
  }

  return {
    async run(request) {
      const { context, signal } = request;
      const { tenantId } = context;
      if (running.has(tenantId)) {
        throw new BulkheadError('tenant_overloaded', 'Another dry run of the tenant is under way.', {
          retryAfterMs: RETRY_AFTER_MS,
        });
      }
      running.add(tenantId);
      try {
        return await places.run(tenantId, signal, () => run(request));
      } finally {
        running.delete(tenantId);
      }
    },
  };
}

/** The rules that change most, first. */
function byRule(changes: readonly Change[]): PolicyDryRun['by_rule'] {
  const groups = new Map<string, PolicyDryRun['by_rule'][number]>();
  for (const { requestId, change, rule } of changes) {
    const key = `${change} ${rule}`;
    const group = groups.get(key) ?? { change, rule, requests: 0, sample_request_ids: [] };
    group.requests += 1;
    if (group.sample_request_ids.length < SAMPLES) group.sample_request_ids.push(requestId);
    groups.set(key, group);
  }
  return [...groups.values()].sort((a, b) => b.requests - a.requests).slice(0, MAX_RULES);
}
