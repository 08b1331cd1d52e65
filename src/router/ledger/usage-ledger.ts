import { mkdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Database } from '#app/database/database.ts';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { environmentFault } from '#app/faults/environment-fault.ts';
import type { UsageRecord } from '#app/schemas/usage.ts';
import type { Logger } from '#observability/logger.ts';
import { createBatcher } from '#router/batcher.ts';
import { insertUsage, type StorableUsage, storableUsage } from '#router/ledger/insert-usage.ts';
import {
  bytesOfOthers,
  createOwnLog,
  listSegments,
  removeLog,
  takeAbandonedLogs,
} from '#router/ledger/log/log-directories.ts';
import type { BegunTurn, TurnProgress } from '#router/ledger/log/log-line.ts';
import { settleLog, toAbortedRow } from '#router/ledger/log/settle-log.ts';
import { openUsageLog } from '#router/ledger/log/usage-log.ts';
import { createUsageShipper, shipRows } from '#router/ledger/usage-shipper.ts';

export interface UsageLedger {
  /**
   * Resolves when it is in the log that the turn begins: should the process die, the turn is counted with what it
   * has used. Throws `service_unavailable` where the log takes nothing: no turn runs uncounted.
   */
  begin(turn: BegunTurn): Promise<void>;
  /** What a turn has used so far. */
  progress(progress: TurnProgress): void;
  /**
   * Resolves when the row is in the log, or in the database where the log cannot be written. Where neither takes it within
   * a bounded time it is kept in memory and tried again. Never throws. One row a request id, however often it is sent.
   */
  record(row: UsageRecord): Promise<void>;
  /** Waits until what was recorded here before is in the database, at most `timeoutMs`. */
  flush(timeoutMs: number): Promise<void>;
  /** Whether turns may begin. */
  isAccepting(): boolean;
  /** Brings what is left to the database, at most for `timeoutMs`. What then remains, the next process finds. */
  close(timeoutMs: number): Promise<void>;
}

/** Rows kept in memory while the log cannot be written; more are logged instead, so that memory stays bounded. */
const MAX_UNWRITTEN = 50_000;
const ADOPT_EVERY_MS = 30_000;
const RETRY_AFTER_MS = 5_000;
/** Longest that an answer waits for the database where the log does not take its row. */
const DIRECT_MS = 5_000;
const MAX_DIRECT_ROWS = 250;

/**
 * The usage ledger: what a request used is in a file of this process before the request's answer is complete, and in
 * the database seconds later. See docs/decisions/0010-usage-ledger.md.
 */
export async function createUsageLedger(options: {
  database: Database;
  logger: Logger;
  /** Shared by all routers of a machine or volume; each has a directory of its own in it. */
  root: string;
  maxBytes: number;
  syncEach?: boolean;
  now?: () => number;
  /** Called when rows are taken to the database; what it returns, when they are in it. */
  onShip?: () => () => Promise<void>;
}): Promise<UsageLedger> {
  const {
    database,
    logger,
    maxBytes,
    syncEach = false,
    now = Date.now,
    onShip = () => async () => {},
  } = options;
  const root = resolve(options.root);
  await mkdir(root, { recursive: true, mode: 0o700 });
  const own = await createOwnLog(root);
  const log = openUsageLog({ directory: own.directory, syncEach, now, logger });
  const shipper = createUsageShipper({ log, database, logger, onShip });
  const closing = new AbortController();
  const insertDirectly = createBatcher<StorableUsage, true>({
    maxSize: MAX_DIRECT_ROWS,
    async run(rows) {
      // Budgets count these rows as spent here until the next shipment has read the database.
      await insertUsage(database, rows, (usage, error) =>
        logger.error({ event: 'usage_row_refused', err: error, usage }, 'the database refuses a usage row'),
      );
      log.forget(rows);
      return rows.map(() => true);
    },
  });
  let othersBytes = await bytesOfOthers(root, own.directory);
  let wasFull = false;
  shipper.start();

  /** Finishes what processes that are gone have left. */
  async function adopt(): Promise<void> {
    for await (const abandoned of takeAbandonedLogs(root, own.directory, closing.signal)) {
      let isDone = false;
      try {
        const segments = await listSegments(abandoned.directory);
        const count = await shipRows(database, settleLog(segments, logger), logger);
        isDone = true;
        logger.info(
          { event: 'usage_log_adopted', rows: count },
          'the usage log of a process that ended was shipped',
        );
      } finally {
        await (isDone ? removeLog(abandoned) : abandoned.lock.release());
      }
    }
  }

  async function adoptFromTimeToTime(): Promise<void> {
    while (!closing.signal.aborted) {
      try {
        await adopt();
        othersBytes = await bytesOfOthers(root, own.directory);
      } catch (error) {
        if (closing.signal.aborted) return;
        logger.warn(
          { event: 'usage_log_waits', err: error },
          'the usage logs of ended processes are shipped later',
        );
      }
      await delay(ADOPT_EVERY_MS, undefined, { signal: closing.signal, ref: false }).catch(() => undefined);
    }
  }
  const adopting = adoptFromTimeToTime();

  function isAccepting(): boolean {
    const isFull = log.bytes() + othersBytes >= maxBytes;
    if (isFull !== wasFull) {
      wasFull = isFull;
      logger.error(
        { event: 'usage_log_full', is_full: isFull, bytes: log.bytes() + othersBytes },
        isFull ? 'the usage log is full: new turns are refused' : 'the usage log has room again',
      );
    }
    return !isFull && log.failure() === null && !closing.signal.aborted;
  }

  const refusal = () =>
    new BulkheadError(
      environmentFault(log.failure())?.code ?? 'service_unavailable',
      'Usage cannot be recorded now, so no turn may begin.',
      {
        retryAfterMs: RETRY_AFTER_MS,
        ...(log.failure() === null ? {} : { cause: log.failure() }),
      },
    );

  return {
    async begin(turn) {
      if (!isAccepting() || !(await log.begin(turn))) throw refusal();
    },
    progress: (progress) => log.progress(progress),
    async record(row) {
      if (closing.signal.aborted || log.unwritten().length >= MAX_UNWRITTEN) {
        logger.error({ event: 'usage_row_lost', usage: row }, 'a usage row is only logged');
        return;
      }
      const usage = storableUsage(row);
      if (await log.end(usage)) return;
      // Should the process die now, the log would say that the turn was cut off; the row that is in the database first stays.
      await withinMs(
        insertDirectly(usage).catch((err: unknown) =>
          logger.warn(
            { event: 'usage_row_waits', err, request_id: row.request_id },
            'a usage row is in memory only: neither the log nor the database takes it',
          ),
        ),
        DIRECT_MS,
      );
    },
    async flush(timeoutMs) {
      await withinMs(shipper.flush(), timeoutMs);
    },
    isAccepting,
    async close(timeoutMs) {
      if (closing.signal.aborted) return;
      for (const open of log.openTurns()) {
        void log.end(storableUsage(toAbortedRow({ ...open, at: new Date(now()).toISOString() })));
      }
      closing.abort();
      log.close();
      await withinMs(Promise.all([shipper.stop(), adopting]).then(shipper.flush), timeoutMs);
      const unwritten = log.unwritten();
      if (unwritten.length > 0) {
        await insertUsage(database, unwritten, (usage) =>
          logger.error({ usage }, 'a usage row is refused'),
        ).catch(() => {
          for (const { row: usage } of unwritten)
            logger.error({ event: 'usage_row_lost', usage }, 'a usage row is only logged');
        });
      }
      const left = log.sealed().length;
      if (left === 0) await removeLog(own);
      else {
        logger.warn({ event: 'usage_log_left', segments: left }, 'usage rows wait for the next process');
        await own.lock.release();
      }
    },
  };
}

async function withinMs(work: Promise<unknown>, milliseconds: number): Promise<void> {
  const timer = new AbortController();
  const late = delay(milliseconds, undefined, { signal: timer.signal }).catch(() => undefined);
  await Promise.race([work.catch(() => undefined), late]);
  timer.abort();
}
