import { setTimeout as delay } from 'node:timers/promises';
import type { Database } from '#app/database/database.ts';
import type { UsageRecord } from '#app/schemas/usage.ts';
import type { Logger } from '#observability/logger.ts';
import { createBatcher } from '#router/batcher.ts';

export interface UsageLedger {
  /**
   * Resolves when the row is in the database, or after a bounded wait where the database cannot take it now: then
   * the row is kept and tried again until it is in. Never throws. One row a request id, however often it is sent.
   */
  record(row: UsageRecord): Promise<void>;
  /** Waits for rows that are still on their way, at most `timeoutMs`. What is left is logged in full. */
  close(timeoutMs: number): Promise<void>;
}

const MAX_BATCH = 500;
/** How long an answer waits for its row. */
const PATIENCE_MS = 1_000;
const RETRY_MS = 500;
/** Rows kept while the database is away; more are logged instead, so that memory stays bounded. */
const MAX_KEPT = 50_000;

/** The usage ledger: rows of requests that end at the same time are written together. */
export function createUsageLedger(options: { database: Database; logger: Logger }): UsageLedger {
  const { database, logger } = options;
  const underWay = new Set<Promise<void>>();
  const kept = new Map<string, UsageRecord>();
  const closing = new AbortController();

  const write = createBatcher<UsageRecord, true>({
    maxSize: MAX_BATCH,
    run: async (rows) => {
      await insert(database, rows);
      return rows.map(() => true);
    },
  });

  async function writeUntilIn(row: UsageRecord): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await write(row);
        kept.delete(row.request_id);
        return;
      } catch (error) {
        if (attempt === 1) logger.warn({ err: error, request_id: row.request_id }, 'a usage row waits');
        if (isRefusedByDatabase(error)) {
          // No retry helps: a tenant that is gone, a value out of range.
          kept.delete(row.request_id);
          logger.error({ err: error, usage: row }, 'the database refuses a usage row');
          return;
        }
        await delay(Math.min(RETRY_MS * attempt, 10_000), undefined, { signal: closing.signal }).catch(
          () => undefined,
        );
        if (closing.signal.aborted) return;
      }
    }
  }

  return {
    async record(row) {
      if (kept.size >= MAX_KEPT) {
        logger.error({ usage: row }, 'too many usage rows wait: this one is only logged');
        return;
      }
      kept.set(row.request_id, row);
      const writing = writeUntilIn(row).finally(() => underWay.delete(writing));
      underWay.add(writing);
      const patience = new AbortController();
      await Promise.race([
        writing,
        delay(PATIENCE_MS, undefined, { signal: patience.signal }).catch(() => undefined),
      ]);
      patience.abort();
    },
    async close(timeoutMs) {
      const deadline = setTimeout(() => closing.abort(), timeoutMs);
      await Promise.race([
        Promise.allSettled(underWay),
        new Promise<void>((resolve) =>
          closing.signal.addEventListener('abort', () => resolve(), { once: true }),
        ),
      ]);
      clearTimeout(deadline);
      closing.abort();
      for (const row of kept.values()) logger.error({ usage: row }, 'a usage row did not reach the database');
    },
  };
}

async function insert(database: Database, rows: readonly UsageRecord[]): Promise<void> {
  const values = rows.map(({ token_usage, ...row }) => ({
    ...row,
    prompt_tokens: token_usage.prompt_tokens,
    completion_tokens: token_usage.completion_tokens,
  }));
  await database.asSystem((transaction) =>
    transaction.query(
      `INSERT INTO bulkhead.usage_records (request_id, tenant_id, user_id, key_id, route, model, prompt_tokens,
              completion_tokens, cost_usd, latency_ms, status, outcome, refusal_reason, created_at)
       SELECT request_id, tenant_id, user_id, key_id, route, model, prompt_tokens, completion_tokens,
              cost_usd_estimate, latency_ms, status, outcome, refusal_reason, created_at
         FROM jsonb_to_recordset($1::jsonb) AS row (request_id text, tenant_id text, user_id text, key_id text,
              route text, model text, prompt_tokens bigint, completion_tokens bigint, cost_usd_estimate numeric,
              latency_ms double precision, status integer, outcome text, refusal_reason text, created_at timestamptz)
       ON CONFLICT (request_id) DO NOTHING`,
      [JSON.stringify(values)],
    ),
  );
}

/** SQLSTATE classes 22 (data) and 23 (constraint). */
function isRefusedByDatabase(error: unknown): boolean {
  return (
    error instanceof Error && 'code' in error && typeof error.code === 'string' && /^2[23]/.test(error.code)
  );
}
