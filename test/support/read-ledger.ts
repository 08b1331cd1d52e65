import { z } from 'zod';
import { type UsageRecord, usageReportSchema } from '#app/schemas/usage.ts';
import { call } from './http-client.ts';
import type { Platform } from './start-bulkhead.ts';

export type Ledger = Readonly<{
  /** By request id; more than one row of an id is a fault. */
  rows: ReadonlyMap<string, readonly UsageRecord[]>;
  totals: ReadonlyMap<string, { requests: number; prompt: number; completion: number }>;
}>;

const byTenantSchema = z.looseObject({ data: z.array(z.looseObject({ tenant_id: z.string() })) });

/** Every row of every tenant, as the API gives them. */
export async function readLedger({
  url,
  operatorKey,
}: Pick<Platform, 'url' | 'operatorKey'>): Promise<Ledger> {
  const get = async (path: string) => {
    const answer = await call(url, `GET ${path}`, { key: operatorKey });
    if (answer.status !== 200) throw new Error(`GET ${path}: ${answer.status} ${answer.text}`);
    return answer.json;
  };
  const tenants = byTenantSchema.parse(await get('/admin/usage')).data.map(({ tenant_id }) => tenant_id);
  const rows = new Map<string, UsageRecord[]>();
  const totals = new Map<string, { requests: number; prompt: number; completion: number }>();
  for (const tenant of tenants) {
    for (let after = ''; ; ) {
      const page = usageReportSchema.parse(
        await get(`/admin/tenants/${tenant}/usage?limit=100${after === '' ? '' : `&after=${after}`}`),
      );
      for (const row of page.data) rows.set(row.request_id, [...(rows.get(row.request_id) ?? []), row]);
      const { requests, token_usage } = page.totals;
      totals.set(tenant, {
        requests,
        prompt: token_usage.prompt_tokens,
        completion: token_usage.completion_tokens,
      });
      if (!page.has_more || page.last_id === null) break;
      after = page.last_id;
    }
  }
  return { rows, totals };
}
