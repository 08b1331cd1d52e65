import type { Database } from '#app/database/database.ts';
import type { TenantId } from '#app/ids.ts';
import type { AuditDetails } from '#app/schemas/audit-event.ts';
import type { Logger } from '#observability/logger.ts';
import { appendEvents, type NewAuditEvent } from '#router/audit/append-events.ts';
import type { Denial } from '#router/audit/denials.ts';
import { OPERATORS_CHAIN } from '#router/audit/hash-event.ts';
import { within } from '#router/within.ts';

export interface DenialRecorder {
  /** Takes a denial down; costs a look-up in a map, and never throws. It is in the audit within some seconds. */
  record(denial: Denial): void;
  /** Writes what has been taken down. Never throws: what the database does not take now is kept for later. */
  flush(): Promise<void>;
  /** The last flush, counts of repeats included; at most `timeoutMs`. */
  close(timeoutMs: number): Promise<void>;
}

const FLUSH_MS = 1_000;
/** Within a window, the same denial is one event when it is first seen and one with a count when the window ends. */
const WINDOW_MS = 60_000;
/** Different denials of one chain that are told apart in a window. More of them are counted by their code alone. */
const MAX_DISTINCT = 20;
/** Chains that are written for in one window; tenants beyond it are counted in the log. */
const MAX_CHAINS = 10_000;

type Chain = TenantId | typeof OPERATORS_CHAIN;
type Tally = {
  /** What an event says; null parts where several denials are counted together. */
  readonly denial: Omit<Denial, 'requestId'> & { requestId: string | null };
  readonly isOverflow: boolean;
  firstAt: number;
  lastAt: number;
  /** Not yet written. */
  count: number;
  isFirst: boolean;
};
type Window = { readonly since: number; readonly tallies: Map<string, Tally> };

/**
 * Denied requests on their way into the audit. Whatever a flood consists of, a chain grows by a bounded number of
 * events a minute (twice MAX_DISTINCT and one a code), and memory by as many; the counts stay true.
 */
export function createDenialRecorder(options: {
  database: Database;
  logger: Logger;
  now: () => number;
}): DenialRecorder {
  const { database, logger, now } = options;
  const windows = new Map<Chain, Window>();
  let flushing: Promise<void> | null = null;
  let isFailing = false;
  const timer = setInterval(() => void flush(), FLUSH_MS).unref();

  function tallyOf({ tallies }: Window, denial: Denial, at: number): Tally {
    const { actor, code, target, policy, clientAddress } = denial;
    const key = JSON.stringify([actor, code, target, policy, clientAddress]);
    const known = tallies.get(key) ?? (tallies.size < MAX_DISTINCT ? undefined : tallies.get(code));
    if (known !== undefined) return known;
    const isOverflow = tallies.size >= MAX_DISTINCT;
    const blank = { actor: 'several', target: 'several', policy: null, clientAddress: null, requestId: null };
    const made: Tally = {
      denial: isOverflow ? { ...denial, ...blank } : denial,
      isOverflow,
      firstAt: at,
      lastAt: at,
      count: 0,
      isFirst: true,
    };
    tallies.set(isOverflow ? code : key, made);
    return made;
  }

  async function writeChain(chain: Chain, window: Window): Promise<void> {
    const hasEnded = now() - window.since >= WINDOW_MS;
    // A repeat, and what is beyond the distinct ones, waits for the window's end.
    const due = [...window.tallies.values()].filter(
      (tally) => tally.count > 0 && (hasEnded || (tally.isFirst && !tally.isOverflow)),
    );
    if (due.length > 0) {
      const written = due.map((tally) => ({ tally, count: tally.count, event: eventOf(tally) }));
      const isThere = await database.asSystem(
        (transaction) =>
          appendEvents(
            transaction,
            chain,
            written.map(({ event }) => event),
          ),
        'platform:denials',
      );
      for (const { tally, count } of written) {
        tally.count -= count;
        tally.isFirst = false;
        tally.firstAt = tally.lastAt;
      }
      if (!isThere) windows.delete(chain);
    }
    // What came while this was written stays for the next flush.
    if (hasEnded && [...window.tallies.values()].every(({ count }) => count === 0)) windows.delete(chain);
  }

  async function writeAll(): Promise<void> {
    let failure: unknown = null;
    for (const [chain, window] of [...windows]) {
      // One chain that cannot be written holds up no other.
      await writeChain(chain, window).catch((error: unknown) => {
        failure ??= error;
      });
    }
    if (failure !== null && !isFailing) {
      logger.warn({ event: 'audit_waits', err: failure }, 'denials cannot be audited now');
    }
    isFailing = failure !== null;
  }

  function flush(): Promise<void> {
    flushing ??= writeAll().finally(() => {
      flushing = null;
    });
    return flushing;
  }

  return {
    record(denial) {
      const at = now();
      const chain = denial.tenantId ?? OPERATORS_CHAIN;
      let window = windows.get(chain);
      if (window === undefined) {
        if (windows.size >= MAX_CHAINS) {
          logger.error(
            { event: 'audit_overflow', tenant_id: denial.tenantId, code: denial.code },
            'not audited',
          );
          return;
        }
        window = { since: at, tallies: new Map() };
        windows.set(chain, window);
      }
      const tally = tallyOf(window, denial, at);
      if (tally.count === 0) tally.firstAt = at;
      tally.count += 1;
      tally.lastAt = at;
    },
    flush,
    async close(timeoutMs) {
      clearInterval(timer);
      const last = async () => {
        await flushing;
        // As if their windows had ended.
        for (const [chain, { tallies }] of windows) windows.set(chain, { since: -Infinity, tallies });
        await flush();
      };
      await within(last(), timeoutMs, 'The audit was not written in time.').catch((error: unknown) => {
        logger.error({ event: 'audit_not_written', err: error }, 'denials are missing in the audit');
      });
      for (const { tallies } of windows.values()) {
        for (const { denial, count } of tallies.values()) {
          if (count > 0) logger.error({ event: 'audit_not_written', denial, count }, 'not in the audit');
        }
      }
    },
  };
}

function eventOf({ denial, firstAt, lastAt, count }: Tally): NewAuditEvent {
  const { actor, tenantId, code, target, policy, requestId, clientAddress } = denial;
  const details: AuditDetails = { code, count };
  if (policy !== null) details.policy = policy;
  if (requestId !== null) details.request_id = requestId;
  if (clientAddress !== null) details.client_address = clientAddress;
  if (count > 1) {
    details.first_at = new Date(firstAt).toISOString();
    details.last_at = new Date(lastAt).toISOString();
  }
  return { actor, tenantId, action: 'request.denied', target, outcome: 'denied', details };
}
