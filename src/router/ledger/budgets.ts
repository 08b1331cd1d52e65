import type { Database } from '#app/database/database.ts';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { TenantId } from '#app/ids.ts';
import type { Logger } from '#observability/logger.ts';
import { NANOS_PER_DOLLAR, toNanos } from '#router/ledger/price.ts';
import { within } from '#router/within.ts';

export type BudgetedTurn = Readonly<{
  tenantId: TenantId;
  requestId: string;
  /** null: no budget. */
  budgetUsd: number | null;
  /** What it may cost, held until it is settled. */
  estimateUsd: number;
}>;

export interface Budgets {
  /** Holds the turn's estimate. Throws `budget_exceeded` where the month's budget is spent. */
  admit(turn: BudgetedTurn): Promise<void>;
  /** What the request cost in the end; called before its row is recorded. */
  settle(tenantId: TenantId, requestId: string, costUsd: number): void;
  /** Called when the rows until now are taken to the database; what it returns, when they are in it. */
  ship(): () => Promise<void>;
}

/** A tenant that was silent this long is forgotten, and read again when it comes back. */
const FORGET_AFTER_MS = 60_000;
const READ_TIMEOUT_MS = 2_000;

type Spending = {
  /** `2026-11`, UTC. */
  month: string;
  /** In nano-dollars: as the database had it, then what it had not. */
  known: number;
  pending: number;
  shipping: number;
  held: Map<string, number>;
  heldTotal: number;
  seenAt: number;
};

/**
 * Money limits, decided in memory. What is spent is read from the database with every shipment of rows, each second; what
 * this router has not shipped yet, and what its turns under way may cost, is added. So one router goes over a budget by
 * no more than one turn's difference from its estimate. Of other routers it knows what they shipped: each may go over by
 * what the tenant spends there in about 2 seconds.
 */
export function createBudgets(options: {
  database: Database;
  logger: Logger;
  now: () => number;
  monotonicNow: () => number;
}): Budgets {
  const { database, logger, now, monotonicNow } = options;
  const tenants = new Map<TenantId, Spending>();
  const reading = new Map<TenantId, Promise<void>>();
  const currentMonth = () => new Date(now()).toISOString().slice(0, 7);

  async function spentBy(tenantIds: readonly TenantId[], month: string): Promise<Map<string, number>> {
    const rows = await database.asSystem((transaction) =>
      transaction.query(
        `SELECT tenant_id, (cost_usd * 1000000000)::float8 AS nanos FROM bulkhead.usage_months
          WHERE month = ($1 || '-01')::date AND tenant_id IN (SELECT jsonb_array_elements_text($2::jsonb))`,
        [month, JSON.stringify(tenantIds)],
      ),
    );
    return new Map(rows.map((row) => [String(row.tenant_id), Number(row.nanos)]));
  }

  async function read(tenantId: TenantId, month: string): Promise<void> {
    const known = (await spentBy([tenantId], month)).get(tenantId) ?? 0;
    const { held, heldTotal } = tenants.get(tenantId) ?? { held: new Map<string, number>(), heldTotal: 0 };
    tenants.set(tenantId, { month, known, pending: 0, shipping: 0, held, heldTotal, seenAt: monotonicNow() });
  }

  async function spendingOf(tenantId: TenantId): Promise<Spending> {
    for (;;) {
      const month = currentMonth();
      const found = tenants.get(tenantId);
      if (found?.month === month) return found;
      let started = reading.get(tenantId);
      if (started === undefined) {
        const message = 'What the tenant has spent cannot be read.';
        started = within(read(tenantId, month), READ_TIMEOUT_MS, message).finally(() =>
          reading.delete(tenantId),
        );
        reading.set(tenantId, started);
      }
      await started;
    }
  }

  function forgetSilent(): void {
    const before = monotonicNow() - FORGET_AFTER_MS;
    for (const [tenantId, { seenAt, pending, shipping, held }] of tenants) {
      if (seenAt < before && pending + shipping === 0 && held.size === 0) tenants.delete(tenantId);
    }
  }

  return {
    async admit({ tenantId, requestId, budgetUsd, estimateUsd }) {
      if (budgetUsd === null) return;
      const spending = await spendingOf(tenantId);
      spending.seenAt = monotonicNow();
      const spent = spending.known + spending.pending + spending.shipping;
      if (spent + spending.heldTotal >= toNanos(budgetUsd)) {
        throw refusal(budgetUsd, spent, spending.heldTotal, spending.month);
      }
      const estimate = toNanos(estimateUsd);
      spending.held.set(requestId, estimate);
      spending.heldTotal += estimate;
    },
    settle(tenantId, requestId, costUsd) {
      const spending = tenants.get(tenantId);
      if (spending === undefined) return;
      spending.heldTotal -= spending.held.get(requestId) ?? 0;
      spending.held.delete(requestId);
      // A cost of a new month is found there when it is read.
      if (spending.month === currentMonth()) spending.pending += toNanos(costUsd);
    },
    ship() {
      const month = currentMonth();
      const shipped = [...tenants].filter(([, spending]) => spending.month === month);
      for (const [, spending] of shipped) {
        spending.shipping += spending.pending;
        spending.pending = 0;
      }
      return async () => {
        forgetSilent();
        if (shipped.length === 0) return;
        try {
          const spent = await spentBy(
            shipped.map(([tenantId]) => tenantId),
            month,
          );
          for (const [tenantId, spending] of shipped) {
            spending.known = spent.get(tenantId) ?? 0;
            spending.shipping = 0;
          }
        } catch (error) {
          // What is shipping stays counted beside what was known: the next shipment reads both.
          logger.warn({ event: 'budgets_stale', err: error }, 'what tenants have spent cannot be read now');
        }
      };
    },
  };
}

function refusal(budgetUsd: number, spent: number, held: number, month: string): BulkheadError {
  const [year = 0, ordinal = 1] = month.split('-').map(Number);
  const resetsAt = new Date(Date.UTC(year, ordinal, 1)).toISOString();
  const current = (spent + held) / NANOS_PER_DOLLAR;
  const underWay = held === 0 ? '' : `, $${held / NANOS_PER_DOLLAR} of it held for turns under way`;
  return new BulkheadError(
    'budget_exceeded',
    `The tenant’s budget of $${budgetUsd} for ${month} is spent: $${current}${underWay}. It starts again on ${resetsAt.slice(0, 10)}.`,
    { refusal: { policy: 'budget_usd_per_month', limit: budgetUsd, current, resets_at: resetsAt } },
  );
}
