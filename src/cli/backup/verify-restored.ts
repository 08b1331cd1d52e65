import { lockDataDirectory } from '#app/data-directory/data-directory-lock.ts';
import { openDatabase } from '#app/database/open-database.ts';
import { tenantIdSchema } from '#app/ids.ts';
import type { Settings } from '#app/settings/settings.ts';
import { createAuditStore } from '#router/audit/audit-store.ts';

export type Verified = Readonly<{
  tenants: number;
  usage_records: number;
  audit_events: number;
  /** Chains that do not hold: a tenant, or `the operators`. */
  broken: readonly string[];
}>;

/** Opens the restored database, as a start does, and computes every audit chain anew. */
export async function verifyRestored(settings: Settings, signal: AbortSignal): Promise<Verified> {
  const lock = await lockDataDirectory(settings.BULKHEAD_DATA_DIR);
  try {
    const { database } = await openDatabase(settings);
    try {
      const counted = await database.asSystem(({ query }) =>
        query<{ tenant_id: string }>('SELECT tenant_id FROM bulkhead.tenants ORDER BY tenant_id'),
      );
      const [usage] = await database.asSystem(({ query }) =>
        query('SELECT count(*)::integer AS rows FROM bulkhead.usage_records'),
      );
      const audit = createAuditStore({ database });
      const chains = [null, ...counted.map(({ tenant_id }) => tenantIdSchema.parse(tenant_id))];
      const broken: string[] = [];
      let events = 0;
      for (const chain of chains) {
        const report = await audit.verify({ kind: 'operator', keyId: 'restore' }, chain, signal);
        events += report.events;
        if (!report.valid) broken.push(chain ?? 'the operators');
      }
      return { tenants: counted.length, usage_records: Number(usage?.rows), audit_events: events, broken };
    } finally {
      await database.close();
    }
  } finally {
    await lock.release();
  }
}
