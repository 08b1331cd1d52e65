import { setTimeout as delay, setImmediate as yieldToOthers } from 'node:timers/promises';
import type { Database } from '#app/database/database.ts';
import type { Logger } from '#observability/logger.ts';
import { insertUsage, type StorableUsage, storableUsage } from '#router/ledger/insert-usage.ts';
import { readSegment } from '#router/ledger/log/read-segment.ts';
import type { UsageLog } from '#router/ledger/log/usage-log.ts';

export interface UsageShipper {
  start(): void;
  /** Resolves when all that was recorded before is in the database, or could not be brought there now: `false`. */
  flush(): Promise<boolean>;
  /** Stops the clock; a run under way ends first. */
  stop(): Promise<void>;
}

/** How long a row waits in its file, at most, while all is well. */
const INTERVAL_MS = 1_000;
const MAX_BACKOFF_MS = 10_000;
/** Rows of one transaction: they are made ready in this thread, and requests wait for as long as that takes. */
const MAX_BATCH = 250;

/** Brings rows from an order of rows to the database, in batches. Throws where it does not answer. */
export async function shipRows(
  database: Database,
  rows: AsyncIterable<StorableUsage> | Iterable<StorableUsage>,
  logger: Logger,
): Promise<number> {
  let count = 0;
  let batch: StorableUsage[] = [];
  const send = async () => {
    await insertUsage(database, batch, (usage, error) =>
      logger.error({ event: 'usage_row_refused', err: error, usage }, 'the database refuses a usage row'),
    );
    count += batch.length;
    batch = [];
    await yieldToOthers();
  };
  for await (const row of rows) {
    batch.push(row);
    if (batch.length >= MAX_BATCH) await send();
  }
  if (batch.length > 0) await send();
  return count;
}

/** Brings what the log holds to the database, and removes a segment when all of it is committed. */
export function createUsageShipper(options: {
  log: UsageLog;
  database: Database;
  logger: Logger;
  /** Called when rows are taken; what it returns, when they are in the database. */
  onShip: () => () => Promise<void>;
}): UsageShipper {
  const { log, database, logger, onShip } = options;
  const stopping = new AbortController();
  let failures = 0;
  let running: Promise<boolean> | null = null;
  let next: Promise<boolean> | null = null;
  let clock: Promise<void> = Promise.resolve();

  async function run(): Promise<boolean> {
    const onArrival = onShip();
    log.seal();
    try {
      for (const segment of log.sealed()) {
        await shipRows(database, segment.rows ?? rowsOf(segment.path, logger), logger);
        await log.remove(segment);
      }
      if (failures > 0) logger.info({ event: 'usage_shipped' }, 'usage rows reach the database again');
      failures = 0;
      await onArrival();
      return true;
    } catch (error) {
      failures += 1;
      if (failures === 1) {
        logger.warn(
          { event: 'usage_waits', err: error, bytes: log.bytes() },
          'usage rows wait in their files: the database cannot take them now',
        );
      }
      return false;
    }
  }

  function begin(): Promise<boolean> {
    const started = run().finally(() => {
      running = null;
    });
    running = started;
    return started;
  }

  /** A run that begins after the call: one that is under way may have sealed before it. */
  function runOnce(): Promise<boolean> {
    if (running === null) return begin();
    next ??= running.then(() => {
      next = null;
      return begin();
    });
    return next;
  }

  async function tick(): Promise<void> {
    while (!stopping.signal.aborted) {
      const wait = failures === 0 ? INTERVAL_MS : Math.min(INTERVAL_MS * 2 ** failures, MAX_BACKOFF_MS);
      await delay(wait, undefined, { signal: stopping.signal, ref: false }).catch(() => undefined);
      if (!stopping.signal.aborted) await runOnce();
    }
  }

  return {
    start() {
      clock = tick();
    },
    flush: runOnce,
    async stop() {
      stopping.abort();
      await clock;
    },
  };
}

async function* rowsOf(path: string, logger: Logger): AsyncGenerator<StorableUsage, void> {
  for await (const entry of readSegment(path, logger)) {
    if (entry.t === 'row') yield storableUsage(entry.row);
  }
}
