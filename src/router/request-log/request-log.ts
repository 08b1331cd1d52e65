import { setTimeout as delay, setImmediate as yieldToOthers } from 'node:timers/promises';
import type { Database } from '#app/database/database.ts';
import { maySpare } from '#app/fair/may-spare.ts';
import type { RequestLogDetail } from '#app/schemas/request-log.ts';
import type { Logger } from '#observability/logger.ts';
import type { CompiledPolicy } from '#router/policy/compile-policy.ts';
import type { RequestText } from '#router/policy/decide-content.ts';
import type { KeptAnswer } from '#router/request-log/explanation.ts';
import {
  insertRequests,
  type StorableRequest,
  storableRequest,
} from '#router/request-log/insert-requests.ts';
import { boundTexts, type RedactText, redactBodies } from '#router/request-log/redact-bodies.ts';

/** A row to be written; its texts are redacted when it is, and not before. */
export type RequestRow = Omit<RequestLogDetail, 'created_at' | 'bodies'> & {
  kept: Readonly<{
    texts: readonly RequestText[];
    answer: KeptAnswer | null;
    policy: CompiledPolicy;
  }> | null;
};

export interface RequestLog {
  /** Takes a row down; costs a few microseconds. Where too many wait, the row is dropped and counted. */
  record(row: RequestRow): void;
  /** Rows since the start. */
  readonly counts: Readonly<{ written: number; dropped: number; waiting: number }>;
  /** Writes what waits. Never throws. */
  flush(): Promise<void>;
  /** The last flush; at most `timeoutMs`. */
  close(timeoutMs: number): Promise<void>;
}

/** Each statement costs the database as much as many rows do. */
const FLUSH_MS = 500;
const MAX_BATCH = 250;
/** What may wait: rows, and characters of texts in them. */
const MAX_WAITING = 10_000;
const MAX_WAITING_CHARACTERS = 32_000_000;
/** One tenant alone may have four fifths of both: the rows of others are not dropped for it. */
const ALPHA = 4;
/** After a failure; the rows wait meanwhile. */
const RETRY_MS = 1_000;
const MAX_ATTEMPTS = 30;
/** Between two lines that tell of dropped rows. */
const TELL_MS = 10_000;

/** A row with texts, which are redacted when it is its turn. */
type Kept = Readonly<{ row: RequestRow; texts: readonly RequestText[]; isCut: boolean }>;
type Waiting = Readonly<{ row: StorableRequest | Kept; tenantId: string | null; characters: number }>;

/** What waits of one tenant. */
type Share = { rows: number; characters: number };

/**
 * The request log's writer, off the path of requests: a bounded queue, written in batches. A row may be lost where the
 * database is slow or away, which the ledger's never is; how many were is counted and logged.
 */
export function createRequestLog(options: {
  database: Database;
  logger: Logger;
  redact: RedactText;
  /** Default: the figures above. For tests. */
  maxWaiting?: number;
  flushMs?: number;
}): RequestLog {
  const { database, logger, redact, maxWaiting = MAX_WAITING, flushMs = FLUSH_MS } = options;
  let waiting: Waiting[] = [];
  let characters = 0;
  const shares = new Map<string | null, Share>();
  let written = 0;
  let dropped = 0;
  let told = 0;
  let flushing: Promise<void> | null = null;
  /** How many of those that wait are asked for. What comes meanwhile waits for its own turn: a row alone costs as much as many. */
  let wanted = 0;
  let timer: NodeJS.Timeout | undefined;
  const closing = new AbortController();

  const drop = (rows: number) => {
    dropped += rows;
  };
  function takeIn(tenantId: string | null, of: number): boolean {
    const share = shares.get(tenantId) ?? { rows: 0, characters: 0 };
    const free = { rows: maxWaiting - waiting.length, characters: MAX_WAITING_CHARACTERS - characters };
    if (!maySpare({ own: share.rows, free: free.rows, alpha: ALPHA })) return false;
    if (!maySpare({ own: share.characters, free: free.characters, alpha: ALPHA, amount: of })) return false;
    share.rows += 1;
    share.characters += of;
    characters += of;
    shares.set(tenantId, share);
    return true;
  }

  function letGo({ tenantId, characters: of }: Waiting): void {
    characters -= of;
    const share = shares.get(tenantId);
    if (share === undefined) return;
    share.rows -= 1;
    share.characters -= of;
    if (share.rows === 0) shares.delete(tenantId);
  }

  const teller = setInterval(() => {
    if (dropped === told) return;
    logger.warn(
      { event: 'request_log_dropped', rows: dropped - told, total: dropped },
      'requests not logged',
    );
    told = dropped;
  }, TELL_MS).unref();

  async function toStorable({ row, texts, isCut }: Kept): Promise<StorableRequest> {
    const { kept, ...rest } = row;
    if (kept === null) return storableRequest({ ...rest, bodies: null });
    try {
      const bodies = await redactBodies({ texts, isCut, answer: kept.answer }, redact, kept.policy);
      return storableRequest({ ...rest, bodies });
    } catch (error) {
      // What cannot be redacted is not kept.
      logger.error({ err: error, request_id: row.request_id }, 'a request’s texts could not be redacted');
      return storableRequest({ ...rest, bodies: null });
    }
  }

  async function writeBatch(batch: readonly Waiting[]): Promise<void> {
    const rows: StorableRequest[] = [];
    for (const { row } of batch) rows.push('json' in row ? row : await toStorable(row));
    for (let attempt = 1; rows.length > 0; attempt++) {
      try {
        written += await insertRequests(database, rows);
        return;
      } catch (error) {
        if (isRefusedByDatabase(error)) return writeOneByOne(rows);
        if (attempt === 1)
          logger.warn({ event: 'request_log_waits', err: error }, 'requests cannot be logged');
        if (attempt >= MAX_ATTEMPTS || closing.signal.aborted) return drop(rows.length);
        await delay(RETRY_MS, undefined, { signal: closing.signal }).catch(() => undefined);
      }
    }
  }

  /** No retry helps a row that cannot be stored: the others of its batch are. */
  async function writeOneByOne(rows: readonly StorableRequest[]): Promise<void> {
    for (const row of rows) {
      try {
        written += await insertRequests(database, [row]);
      } catch (error) {
        drop(1);
        logger.error(
          { err: error, request_id: row.requestId },
          'the database refuses a row of the request log',
        );
      }
    }
  }

  async function drain(): Promise<void> {
    while (waiting.length > 0 && (wanted > 0 || waiting.length >= MAX_BATCH)) {
      const batch = waiting.slice(0, MAX_BATCH);
      waiting = waiting.slice(MAX_BATCH);
      wanted -= batch.length;
      await writeBatch(batch);
      for (const one of batch) letGo(one);
      // Requests have their turn between two batches.
      await yieldToOthers();
    }
  }

  function schedule(): void {
    timer ??= setTimeout(() => void flush(), flushMs).unref();
  }

  function flush(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    wanted = waiting.length;
    flushing ??= drain().finally(() => {
      flushing = null;
      if (waiting.length > 0) schedule();
    });
    return flushing;
  }

  return {
    record(row) {
      const { kept, ...rest } = row;
      const { texts, isCut } = kept === null ? { texts: [], isCut: false } : boundTexts(kept.texts);
      const of = texts.reduce((sum, { text }) => sum + text.length, 0) + (kept?.answer?.text.length ?? 0);
      if (closing.signal.aborted || !takeIn(row.tenant_id, of)) return drop(1);
      // Whole bodies are not to wait with the little of them that is kept.
      waiting.push({
        row:
          kept === null
            ? storableRequest({ ...rest, bodies: null })
            : { row: { ...rest, kept: { ...kept, texts: [] } }, texts, isCut },
        tenantId: row.tenant_id,
        characters: of,
      });
      if (flushing === null) schedule();
    },
    get counts() {
      return { written, dropped, waiting: waiting.length };
    },
    flush,
    async close(timeoutMs) {
      clearInterval(teller);
      const deadline = setTimeout(() => closing.abort(), timeoutMs);
      await flush();
      // What came while the last batch was written.
      await flush();
      clearTimeout(deadline);
      closing.abort();
      if (dropped > told)
        logger.warn({ event: 'request_log_dropped', total: dropped }, 'requests not logged');
    },
  };
}

/** SQLSTATE classes 22 (data) and 23 (constraint). */
function isRefusedByDatabase(error: unknown): boolean {
  return (
    error instanceof Error && 'code' in error && typeof error.code === 'string' && /^2[23]/.test(error.code)
  );
}
