import type { Database } from '#app/database/database.ts';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { TenantId } from '#app/ids.ts';
import type { Logger } from '#observability/logger.ts';
import type { BudgetShare, BudgetShares } from '#router/ledger/budget-shares.ts';
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
  /** Ends telling other routers. */
  close(): void;
}

/** A tenant that was silent this long is forgotten, and read again when it comes back. */
const FORGET_AFTER_MS = 60_000;
const READ_TIMEOUT_MS = 2_000;
/** So often other routers are told again what is held here, so that a Redis that lost it knows it. */
const TELL_EVERY_MS = 1_000;

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
 * no more than one turn's difference from its estimate. With `shares` that holds for all routers together; without, or
 * while those are out of reach, it knows of other routers what they shipped, and each may go over by what the tenant spends
 * there in about 2 seconds.
 */
export function createBudgets(options: {
  database: Database;
  logger: Logger;
  now: () => number;
  monotonicNow: () => number;
  /** Default, null: this router is the only one. */
  shares?: BudgetShares | null;
}): Budgets {
  const { database, logger, now, monotonicNow, shares = null } = options;
  const tenants = new Map<TenantId, Spending>();
  const reading = new Map<TenantId, Promise<void>>();
  const currentMonth = () => new Date(now()).toISOString().slice(0, 7);

  async function spentBy(tenantIds: readonly TenantId[], month: string): Promise<Map<string, number>> {
    const rows = await database.asSystem(
      (transaction) =>
        transaction.query(
          `SELECT tenant_id, (cost_usd * 1000000000)::float8 AS nanos FROM bulkhead.usage_months
          WHERE month = ($1 || '-01')::date AND tenant_id IN (SELECT jsonb_array_elements_text($2::jsonb))`,
          [month, JSON.stringify(tenantIds)],
        ),
      'platform:budgets',
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

  const shareOf = ({ known, pending, shipping, heldTotal }: Spending): BudgetShare => ({
    known,
    own: pending + shipping + heldTotal,
  });
  /** Being told of now; true: it has changed since. */
  const telling = new Map<TenantId, boolean>();

  /** Tells the others how things stand here, one message at a time. */
  function tell(tenantId: TenantId): void {
    if (shares === null) return;
    if (telling.has(tenantId)) {
      telling.set(tenantId, true);
      return;
    }
    const spending = tenants.get(tenantId);
    if (spending === undefined) return;
    telling.set(tenantId, false);
    void shares.report(tenantId, spending.month, shareOf(spending)).finally(() => {
      const hasChanged = telling.get(tenantId) === true;
      telling.delete(tenantId);
      if (hasChanged) tell(tenantId);
    });
  }
  const timer =
    shares === null
      ? undefined
      : setInterval(() => {
          for (const [tenantId, spending] of tenants) if (shareOf(spending).own > 0) tell(tenantId);
        }, TELL_EVERY_MS);
  timer?.unref();

  function hold(spending: Spending, requestId: string, estimate: number): void {
    spending.held.set(requestId, estimate);
    spending.heldTotal += estimate;
  }
  function letGo(spending: Spending, requestId: string): void {
    spending.heldTotal -= spending.held.get(requestId) ?? 0;
    spending.held.delete(requestId);
  }

  /** Turns that wait for their answer, and have not ended. */
  const asking = new Set<string>();

  async function decide(turn: BudgetedTurn, budgetUsd: number): Promise<void> {
    const { tenantId, requestId } = turn;
    const spending = await spendingOf(tenantId);
    spending.seenAt = monotonicNow();
    const spent = spending.known + spending.pending + spending.shipping;
    const limit = toNanos(budgetUsd);
    if (spent + spending.heldTotal >= limit) {
      throw refusal(budgetUsd, spent, spending.heldTotal, spending.month);
    }
    const estimate = toNanos(turn.estimateUsd);
    const take = () => {
      // Of a turn that has ended meanwhile nothing is held: nobody would let it go.
      if (asking.has(requestId) && !spending.held.has(requestId)) hold(spending, requestId, estimate);
      return shareOf(spending);
    };
    const decision =
      shares === null ? null : await shares.admit(tenantId, spending.month, { limit, estimate, take });
    if (decision === null) take();
    // The answer counted a turn that is not there any more.
    else if (!asking.has(requestId)) tell(tenantId);
    if (decision === null || decision.admitted) return;
    letGo(spending, requestId);
    const held = Math.min(spending.heldTotal, decision.before);
    throw refusal(budgetUsd, decision.before - held, held, spending.month);
  }

  function forgetSilent(): void {
    const before = monotonicNow() - FORGET_AFTER_MS;
    for (const [tenantId, { seenAt, pending, shipping, held }] of tenants) {
      if (seenAt < before && pending + shipping === 0 && held.size === 0) tenants.delete(tenantId);
    }
  }

  return {
    async admit(turn) {
      if (turn.budgetUsd === null) return;
      asking.add(turn.requestId);
      try {
        await decide(turn, turn.budgetUsd);
      } finally {
        asking.delete(turn.requestId);
      }
    },
    settle(tenantId, requestId, costUsd) {
      asking.delete(requestId);
      const spending = tenants.get(tenantId);
      if (spending === undefined) return;
      letGo(spending, requestId);
      // A cost of a new month is found there when it is read.
      if (spending.month === currentMonth()) spending.pending += toNanos(costUsd);
      tell(tenantId);
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
            tell(tenantId);
          }
        } catch (error) {
          // What is shipping stays counted beside what was known: the next shipment reads both.
          logger.warn({ event: 'budgets_stale', err: error }, 'what tenants have spent cannot be read now');
        }
      };
    },
    close() {
      clearInterval(timer);
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
