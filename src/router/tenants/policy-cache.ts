import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { TenantId } from '#app/ids.ts';
import { tenantConfigSchema } from '#app/schemas/tenant-config.ts';
import type { Logger } from '#observability/logger.ts';
import { createBatcher } from '#router/batcher.ts';
import { type CompiledPolicy, compileStoredPolicy } from '#router/policy/compile-policy.ts';
import type { StoredConfig, TenantStore } from '#router/tenants/tenant-store.ts';
import { within } from '#router/within.ts';

/** Younger than this, a policy is used as it is. Older, it is still used while a fresh one is read. */
const FRESH_FOR_MS = 1_000;
/** Older than this, it is waited for: no decision rests on a policy that is staler. */
const USABLE_FOR_MS = 2_000;
/** How long the last good policy serves while the database cannot answer. */
const USABLE_IN_OUTAGE_MS = 60_000;
const READ_TIMEOUT_MS = 2_000;
/** Configs read at once. A token may name any tenant before anything of it is proven: a flood of them is few queries. */
const MAX_BATCH = 50;

/** A policy, and how often the tenant's members have changed when it was read. */
export type CachedPolicy = CompiledPolicy & Readonly<{ membersVersion: number }>;

export interface PolicyCache {
  /** The tenant's policy, at most 2 s old; null where there is no such tenant. */
  policyOf(tenantId: TenantId): Promise<CachedPolicy | null>;
  /** Makes the next request read the policy again. */
  forget(tenantId: TenantId): void;
}

type Entry = { policy: CachedPolicy; at: number };

/**
 * Policies, compiled once a version and kept in memory. A stored config that no longer parses or compiles is
 * logged and the last good one stays; where there was none, requests are denied.
 */
export function createPolicyCache(options: {
  store: Pick<TenantStore, 'readConfigs'>;
  monotonicNow: () => number;
  logger: Logger;
}): PolicyCache {
  const { store, monotonicNow, logger } = options;
  const entries = new Map<TenantId, Entry>();
  const reading = new Map<TenantId, Promise<CachedPolicy | null>>();
  const lookUp = createBatcher<TenantId, { stored: StoredConfig | null }>({
    maxSize: MAX_BATCH,
    run: async (tenantIds) => (await store.readConfigs(tenantIds)).map((stored) => ({ stored })),
  });
  /** Counts changes, so that an answer read before one is not kept after it. */
  let generation = 0;

  async function read(tenantId: TenantId): Promise<CachedPolicy | null> {
    const at = monotonicNow();
    const before = generation;
    const { stored } = await lookUp(tenantId);
    if (stored === null) {
      entries.delete(tenantId);
      return null;
    }
    const known = entries.get(tenantId)?.policy;
    const { version, membersVersion } = stored;
    const compiled = known?.version === version ? known : await compileStored(tenantId, stored, known);
    const isKnown = compiled === known && known.membersVersion === membersVersion;
    const policy = isKnown ? known : { ...compiled, membersVersion };
    if (before === generation) entries.set(tenantId, { policy, at });
    return policy;
  }

  async function compileStored(
    tenantId: TenantId,
    stored: { config: unknown; version: number },
    lastGood: CompiledPolicy | undefined,
  ): Promise<CompiledPolicy> {
    try {
      const config = tenantConfigSchema.parse(stored.config);
      if (config.tenant_id !== tenantId) throw new Error('The config names another tenant.');
      return await compileStoredPolicy(config, stored.version);
    } catch (error) {
      const fields = { err: error, tenant_id: tenantId, version: stored.version };
      if (lastGood === undefined) {
        logger.error(fields, 'the stored tenant config is not usable, and there is no older one');
        throw new BulkheadError('service_unavailable', 'The tenant’s policy cannot be read.', {
          cause: error,
        });
      }
      logger.error(fields, `the stored tenant config is not usable: version ${lastGood.version} stays`);
      return lastGood;
    }
  }

  function refresh(tenantId: TenantId): Promise<CachedPolicy | null> {
    const pending = reading.get(tenantId);
    if (pending !== undefined) return pending;
    const started = within(read(tenantId), READ_TIMEOUT_MS, 'The tenant’s policy cannot be read.').finally(
      () => {
        if (reading.get(tenantId) === started) reading.delete(tenantId);
      },
    );
    reading.set(tenantId, started);
    return started;
  }

  return {
    async policyOf(tenantId) {
      const entry = entries.get(tenantId);
      if (entry === undefined) return refresh(tenantId);
      const age = monotonicNow() - entry.at;
      if (age < FRESH_FOR_MS) return entry.policy;
      const refreshed = refresh(tenantId);
      if (age < USABLE_FOR_MS) {
        refreshed.catch((error: unknown) => {
          logger.warn({ err: error, tenant_id: tenantId }, 'the tenant config could not be read again');
        });
        return entry.policy;
      }
      try {
        return await refreshed;
      } catch (error) {
        if (age > USABLE_IN_OUTAGE_MS) throw error;
        logger.warn(
          { err: error, tenant_id: tenantId },
          'the tenant config could not be read: the last good one stays',
        );
        return entry.policy;
      }
    },
    forget(tenantId) {
      const entry = entries.get(tenantId);
      if (entry !== undefined) entries.set(tenantId, { ...entry, at: monotonicNow() - USABLE_FOR_MS });
      generation += 1;
      // Whoever asks from now on must not join a read that began before the change.
      reading.delete(tenantId);
    },
  };
}
