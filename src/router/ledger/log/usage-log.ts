import { rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '#observability/logger.ts';
import type { StorableUsage } from '#router/ledger/insert-usage.ts';
import { type BegunTurn, encodeLine, encodeRow, type TurnProgress } from '#router/ledger/log/log-line.ts';
import { Segment } from '#router/ledger/log/segment.ts';

export type SealedSegment = Readonly<{
  path: string;
  bytes: number;
  /** The rows in it, in order; null where too many wait to be kept in memory: then the file has them. */
  rows: readonly StorableUsage[] | null;
}>;

/** The log of this process: appended to here, read and removed by the shipper, a sealed segment at a time. */
export interface UsageLog {
  /** Resolves when it is written; false where it could not be. */
  begin(turn: BegunTurn): Promise<boolean>;
  /** Costs nothing now: the newest of each turn is written a few milliseconds later. */
  progress(progress: TurnProgress): void;
  /** As `begin`. A row that could not be written is kept, and written as soon as that is possible. */
  end(usage: StorableUsage): Promise<boolean>;
  /** Starts another segment, so that the rows until now can be shipped. */
  seal(): void;
  /** Oldest first. */
  sealed(): readonly SealedSegment[];
  remove(segment: SealedSegment): Promise<void>;
  /** Rows that are only in memory. */
  unwritten(): readonly StorableUsage[];
  /** Lets rows go that are safe elsewhere, where they are only in memory. */
  forget(rows: readonly StorableUsage[]): void;
  bytes(): number;
  /** Turns that have begun and not ended. */
  openTurns(): readonly Readonly<{ turn: BegunTurn; progress: TurnProgress | null }>[];
  /** Why nothing can be written now; null: it can. */
  failure(): Error | null;
  /** Seals the last segment. */
  close(): void;
}

/** At most this much of a stream's count is lost by a kill. */
const PROGRESS_MS = 10;
const SYNC_MS = 200;
const MAX_SEGMENT_BYTES = 4 * 1_024 * 1_024;
const RETRY_MS = 500;
/** Rows of sealed segments that are kept in memory as well, so that nothing need be read while the database keeps up. */
const MAX_KEPT_ROWS = 20_000;
/** How long a request waits for a disk that does not take its row. */
const PATIENCE_MS = 1_000;

type OpenTurn = { turn: BegunTurn; beginLine: string; progress: TurnProgress | null };

/** What is written with one call, and who waits for it. */
type Batch = {
  lines: string[];
  rows: StorableUsage[];
  written: Promise<boolean>;
  resolve: (isWritten: boolean) => void;
};

function newBatch(): Batch {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  return { lines: [], rows: [], written: promise, resolve };
}

/**
 * Everything of one turn of the event loop is appended with one write, made in this thread: it takes microseconds, a
 * hand-over to a thread of the pool takes longer. Disks are waited for in the background, or with `syncEach` before
 * anyone is told that it is written. Throws where the directory cannot be written to.
 */
export function openUsageLog(options: {
  directory: string;
  syncEach: boolean;
  now: () => number;
  logger: Logger;
  /** Default: the figure above. For tests. */
  maxKeptRows?: number;
  /** For tests of disks that are full. */
  openSegment?: (path: string) => Segment;
}): UsageLog {
  const { directory, syncEach, now, logger, maxKeptRows = MAX_KEPT_ROWS } = options;
  const { openSegment = (path) => new Segment(path) } = options;
  const open = new Map<string, OpenTurn>();
  const moved = new Set<string>();
  const sealed: SealedSegment[] = [];
  let sealedBytes = 0;
  let keptRows = 0;
  /** Of the segment that is written to. */
  let rows: StorableUsage[] = [];
  let number = 0;
  let segment = nextSegment();
  let batch = newBatch();
  let isScheduled = false;
  let isSyncing = false;
  let isClosed = false;
  let failure: Error | null = null;
  let progressTimer: NodeJS.Timeout | undefined;
  let retryTimer: NodeJS.Timeout | undefined;

  const syncTimer = setInterval(() => {
    if (segment.isSynced || syncEach) return;
    segment.sync((error) => {
      if (error !== null) fail(error);
    });
  }, SYNC_MS).unref();

  function nextSegment(): Segment {
    number += 1;
    return openSegment(join(directory, `${String(number).padStart(10, '0')}.log`));
  }

  /** Turns that go on are begun again in the new segment, so that the old one can go. */
  function rotate(): void {
    const next = nextSegment();
    const turns = [...open.values()];
    const moving = turns.flatMap(({ progress }) => (progress === null ? [] : [progress]));
    // Without any turn an empty line: a disk that is full shows it here.
    const head = `${turns.map(({ beginLine }) => beginLine).join('')}${progressLine(moving)}` || '\n';
    try {
      next.append(head);
    } catch (error) {
      next.seal(() => undefined);
      rmSync(next.path, { force: true });
      throw error;
    }
    const last = segment;
    segment = next;
    keepSealed(last);
    last.seal((error) => {
      if (error !== null)
        logger.warn({ event: 'usage_log_sync_failed', err: error }, 'a segment may not be on disk');
    });
  }

  function keepSealed({ path, bytes }: Segment): void {
    const isKept = keptRows + rows.length <= maxKeptRows;
    sealed.push({ path, bytes, rows: isKept ? rows : null });
    if (isKept) keptRows += rows.length;
    rows = [];
    sealedBytes += bytes;
  }

  const progressLine = (turns: readonly TurnProgress[]): string =>
    turns.length === 0
      ? ''
      : encodeLine({ t: 'progress', at: new Date(now()).toISOString(), turns: [...turns] });

  function takeMoved(): TurnProgress[] {
    const turns = [...moved].flatMap((requestId) => open.get(requestId)?.progress ?? []);
    moved.clear();
    return turns;
  }

  function schedule(): void {
    if (isScheduled || failure !== null) return;
    isScheduled = true;
    setImmediate(flush);
  }

  function flush(): void {
    isScheduled = false;
    if (isSyncing || failure !== null || isClosed) return;
    // After the lines: a turn may have begun in them.
    const text = batch.lines.join('') + progressLine(takeMoved());
    if (text === '') return;
    try {
      segment.append(text);
    } catch (error) {
      fail(error);
      return;
    }
    segment.rows += batch.rows.length;
    for (const row of batch.rows) rows.push(row);
    const written = batch;
    batch = newBatch();
    if (syncEach) syncThen(written);
    else written.resolve(true);
    if (segment.bytes >= MAX_SEGMENT_BYTES) rotateOrFail();
  }

  function syncThen(written: Batch): void {
    isSyncing = true;
    const patience = setTimeout(() => written.resolve(false), PATIENCE_MS);
    segment.sync((error) => {
      clearTimeout(patience);
      isSyncing = false;
      if (error === null) {
        written.resolve(true);
        flush();
        return;
      }
      batch.lines.unshift(...written.lines);
      batch.rows.unshift(...written.rows);
      void batch.written.then(written.resolve);
      fail(error);
    });
  }

  /** What waits stays in memory, and goes to a new file as soon as there can be one. */
  function fail(error: unknown): void {
    if (isClosed) return;
    if (failure === null) {
      logger.error(
        { event: 'usage_log_failed', err: error },
        'the usage log cannot be written: new turns are refused',
      );
      const waiting = batch;
      setTimeout(() => waiting.resolve(false), PATIENCE_MS).unref();
    }
    failure = error instanceof Error ? error : new Error(String(error));
    clearTimeout(retryTimer);
    retryTimer = setTimeout(recover, RETRY_MS).unref();
  }

  function recover(): void {
    const before = failure;
    try {
      rotate();
      failure = null;
      flush();
    } catch (error) {
      fail(error);
      return;
    }
    if (failure === null && before !== null) {
      logger.warn({ event: 'usage_log_recovered' }, 'the usage log can be written again');
    }
  }

  function seal(): void {
    // What is recorded until now is in the segment that is closed.
    flush();
    if (failure !== null || isClosed) return;
    if (segment.rows === 0 && segment.bytes < MAX_SEGMENT_BYTES) return;
    rotateOrFail();
  }

  function rotateOrFail(): void {
    try {
      rotate();
    } catch (error) {
      fail(error);
    }
  }

  function append(line: string): Promise<boolean> {
    if (isClosed) return Promise.resolve(false);
    batch.lines.push(line);
    schedule();
    return batch.written;
  }

  return {
    begin(turn) {
      const beginLine = encodeLine({ t: 'begin', turn });
      open.set(turn.request_id, { turn, beginLine, progress: null });
      return append(beginLine);
    },
    progress(progress) {
      const turn = open.get(progress.request_id);
      if (turn === undefined) return;
      turn.progress = progress;
      moved.add(progress.request_id);
      // What is written meanwhile takes it along, and the timer finds nothing: that costs less than to set it anew each time.
      progressTimer ??= setTimeout(() => {
        progressTimer = undefined;
        flush();
      }, PROGRESS_MS);
    },
    end(usage) {
      const { request_id } = usage.row;
      open.delete(request_id);
      moved.delete(request_id);
      if (!isClosed) batch.rows.push(usage);
      return append(encodeRow(usage));
    },
    seal,
    sealed: () => [...sealed],
    async remove(shipped) {
      await rm(shipped.path, { force: true });
      const at = sealed.indexOf(shipped);
      if (at < 0) return;
      sealed.splice(at, 1);
      sealedBytes -= shipped.bytes;
      keptRows -= shipped.rows?.length ?? 0;
    },
    unwritten: () => batch.rows,
    forget(known) {
      if (batch.rows.length === 0) return;
      const gone = new Set(known.filter((usage) => batch.rows.includes(usage)));
      if (gone.size === 0) return;
      const lines = new Set([...gone].map(encodeRow));
      batch.rows = batch.rows.filter((usage) => !gone.has(usage));
      batch.lines = batch.lines.filter((line) => !lines.has(line));
    },
    bytes: () => sealedBytes + segment.bytes,
    openTurns: () => [...open.values()],
    failure: () => failure,
    close() {
      if (isClosed) return;
      flush();
      isClosed = true;
      clearInterval(syncTimer);
      clearTimeout(progressTimer);
      clearTimeout(retryTimer);
      keepSealed(segment);
      segment.bytes = 0;
      segment.seal(() => undefined);
    },
  };
}
