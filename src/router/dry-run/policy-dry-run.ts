import { setImmediate as yieldToOthers } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { Database } from '#app/database/database.ts';
import { firstIdAt, type TenantId, timeOfId } from '#app/ids.ts';
import type { PolicyDryRun } from '#app/schemas/policy-dry-run.ts';
import { type RequestLogDetail, requestLogDetailSchema } from '#app/schemas/request-log.ts';
import { type TenantConfig, type TenantConfigPatch, tenantConfigSchema } from '#app/schemas/tenant-config.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import { appendEvents } from '#router/audit/append-events.ts';
import { type Change, createPolicyReplay } from '#router/dry-run/replay-policy.ts';
import { compilePolicy } from '#router/policy/compile-policy.ts';
import { mergeConfig } from '#router/tenants/merge-config.ts';
import type { TenantStore } from '#router/tenants/tenant-store.ts';

export interface PolicyDryRunner {
  /** Replays the newest requests of the log under the draft. Writes nothing but an event of the audit. */
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

const BATCH = 200;
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
];

export function createPolicyDryRunner(options: {
  database: Database;
  tenants: Pick<TenantStore, 'get'>;
  monotonicNow: () => number;
}): PolicyDryRunner {
  const { database, tenants, monotonicNow } = options;

  /** Newest first, so that what is left out is the oldest. */
  async function newest(
    context: TenantContext,
    range: { from: Date | null; to: Date | null; before: string | null },
    limit: number,
    signal: AbortSignal,
  ): Promise<RequestLogDetail[]> {
    const found: RequestLogDetail[] = [];
    for (let before = range.before; found.length < limit; ) {
      signal.throwIfAborted();
      const rows = await database.asTenant(context, (transaction) =>
        transaction.query(
          `SELECT tenant_id, request_id, user_id, route, model, status, outcome, refusal_reason, latency_ms, decision, bodies
             FROM bulkhead.request_log
            WHERE tenant_id = $1 AND ($2::text IS NULL OR request_id >= $2) AND ($3::text IS NULL OR request_id < $3)
              AND ($4::text IS NULL OR request_id < $4)
            ORDER BY request_id DESC LIMIT $5`,
          [
            context.tenantId,
            range.from === null ? null : firstIdAt('req', range.from.getTime()),
            range.to === null ? null : firstIdAt('req', range.to.getTime()),
            before,
            Math.min(BATCH, limit - found.length),
          ],
        ),
      );
      for (const row of rows) {
        const created_at = new Date(timeOfId(String(row.request_id))).toISOString();
        found.push(requestLogDetailSchema.parse({ ...row, created_at }));
      }
      if (rows.length < BATCH) break;
      before = found.at(-1)?.request_id ?? null;
    }
    return found;
  }

  async function configsOf(
    tenantId: TenantId,
    versions: readonly number[],
  ): Promise<Map<number, TenantConfig>> {
    const rows = await database.asSystem((transaction) =>
      transaction.query(
        `SELECT config_version, config FROM bulkhead.tenant_config_versions
          WHERE tenant_id = $1 AND config_version IN (SELECT jsonb_array_elements_text($2::jsonb)::integer)`,
        [tenantId, JSON.stringify(versions)],
      ),
    );
    const configs = new Map<number, TenantConfig>();
    for (const row of rows) {
      // One that an older version of the platform wrote and this one cannot read is one that is not known.
      const config = tenantConfigSchema.safeParse(row.config);
      if (config.success) configs.set(Number(row.config_version), config.data);
    }
    return configs;
  }

  return {
    async run({ context, author, patch, from, to, limit, signal }) {
      const started = monotonicNow();
      const tenant = await tenants.get(context.tenantId);
      const draft = compilePolicy(mergeConfig(tenant.config, patch), tenant.version + 1);
      const read = await newest(context, { from, to, before: null }, limit + 1, signal);
      const judged = read.slice(0, limit).reverse();
      const first = judged[0];
      const warmUp =
        first === undefined
          ? []
          : await newest(
              context,
              { from: new Date(timeOfId(first.request_id) - HOUR_MS), to: null, before: first.request_id },
              MAX_WARM_UP,
              signal,
            );
      const versions = [...judged, ...warmUp].map(({ decision }) => decision.policy.config_version);
      const configs = await configsOf(context.tenantId, [...new Set(versions)]);
      const replay = createPolicyReplay({ draft, configOf: (version) => configs.get(version) ?? null });

      let slice = monotonicNow();
      const breathe = async () => {
        if (monotonicNow() - slice <= SLICE_MS) return;
        await yieldToOthers();
        signal.throwIfAborted();
        slice = monotonicNow();
      };
      for (const request of warmUp.reverse()) {
        await replay.judge({ ...request, bodies: null });
        await breathe();
      }
      const changes: Change[] = [];
      let looked = 0;
      for (const request of judged) {
        if (monotonicNow() - started > MAX_MS) break;
        const change = await replay.judge(request);
        if (change !== null) changes.push(change);
        looked += 1;
        await breathe();
      }
      await database.asSystem((transaction) =>
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
      );
      const countOf = (wanted: Change['change']) => changes.filter(({ change }) => change === wanted).length;
      return {
        tenant_id: context.tenantId,
        config_version: tenant.version,
        requests: looked,
        from: first?.created_at ?? null,
        to: judged[looked - 1]?.created_at ?? null,
        truncated: read.length > limit || looked < judged.length,
        unchanged: looked - changes.length,
        newly_refused: countOf('newly_refused'),
        newly_allowed: countOf('newly_allowed'),
        undecidable: countOf('undecidable'),
        by_rule: byRule(changes),
        not_replayed: NOT_REPLAYED.filter(
          (field) => !isDeepStrictEqual(draft.config[field], tenant.config[field]),
        ),
      };
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
