import { setTimeout as delay } from 'node:timers/promises';
import {
  type CloudWatchLogsClient,
  CreateLogGroupCommand,
  CreateLogStreamCommand,
  PutLogEventsCommand,
  PutRetentionPolicyCommand,
} from '@aws-sdk/client-cloudwatch-logs';
import {
  type LogEvent,
  LogQueue,
  MAX_BATCH_BYTES,
  MAX_BATCH_EVENTS,
} from '#observability/cloudwatch/log-queue.ts';
import type { LineDestination } from '#observability/logger.ts';

/** Lines are sent this often, milliseconds, and at once when a batch is full. */
const FLUSH_MS = 1_000;
/** So much waits for CloudWatch, bytes; what comes then goes to the fallback. */
const MAX_WAITING_BYTES = 16 * MAX_BATCH_BYTES;
/** Tries of one batch; then CloudWatch counts as unavailable. */
const MAX_TRIES = 3;
const FIRST_PAUSE_MS = 500;
/** How long lines go to the fallback before CloudWatch is tried again, milliseconds. */
const OUTAGE_MS = 30_000;
/** Longest that a closing process waits for its last lines, milliseconds. */
const CLOSE_MS = 5_000;

export type CloudWatchLogsOptions = {
  client: CloudWatchLogsClient;
  group: string;
  /** One process' own. */
  stream: string;
  /** Of a group that is made here, days. */
  retentionDays: number;
  /** Where lines go while CloudWatch is unavailable: stdout. */
  fallback: LineDestination;
  /** Milliseconds since 1970. */
  now: () => number;
  /** Told when CloudWatch becomes unavailable, with the reason, and when it is back. */
  onChange: (isOut: boolean, cause?: unknown) => void;
  /** Told how many lines CloudWatch took no part of, and why: they are in the fallback, or too old for it. */
  onRefused: (count: number, reason: unknown) => void;
  outageMs?: number;
  flushMs?: number;
  closeMs?: number;
};

/**
 * A destination of log lines that sends them to a stream of CloudWatch Logs, in batches and in their order, beside the
 * requests that they tell of. A line is never lost while the process lives: what CloudWatch does not take goes to the fallback. What
 * a killed process had not sent yet, at most a second's, is.
 */
export class CloudWatchLogs implements LineDestination {
  readonly #options: CloudWatchLogsOptions;
  readonly #queue = new LogQueue();
  readonly #closing = new AbortController();
  #sending: Promise<void> | null = null;
  #timer: NodeJS.Timeout | undefined;
  #outUntil: number | null = null;
  #isClosed = false;

  constructor(options: CloudWatchLogsOptions) {
    this.#options = options;
  }

  /** One line, with or without its line break. Never throws, never waits. */
  write(line: string): void {
    if (this.#isClosed || this.#isOut() || this.#queue.bytes >= MAX_WAITING_BYTES) {
      this.#options.fallback.write(line);
      return;
    }
    this.#queue.push({ timestamp: this.#options.now(), message: line.trimEnd() });
    if (this.#queue.bytes >= MAX_BATCH_BYTES || this.#queue.size >= MAX_BATCH_EVENTS) void this.flush();
    else this.#timer ??= setTimeout(() => void this.flush(), this.#options.flushMs ?? FLUSH_MS).unref();
  }

  /** Sends what waits. Never throws. */
  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = null;
    });
    return this.#sending;
  }

  /** Sends the last lines, within {@link CLOSE_MS}, or leaves them to the fallback; so it does with lines that come later. */
  async close(): Promise<void> {
    const late = setTimeout(() => this.#closing.abort(), this.#options.closeMs ?? CLOSE_MS);
    await this.flush();
    clearTimeout(late);
    this.#isClosed = true;
    this.#giveUp();
  }

  #isOut(): boolean {
    if (this.#outUntil === null) return false;
    return performance.now() < this.#outUntil;
  }

  async #sendAll(): Promise<void> {
    for (let batch = this.#queue.take(); batch.length > 0; batch = this.#queue.take()) {
      try {
        await this.#send(batch);
      } catch (error) {
        this.#toFallback(batch);
        if (isRefused(error)) {
          this.#options.onRefused(batch.length, error);
          continue;
        }
        this.#giveUp();
        if (this.#outUntil === null) this.#options.onChange(true, error);
        this.#outUntil = performance.now() + (this.#options.outageMs ?? OUTAGE_MS);
        return;
      }
      if (this.#outUntil !== null) this.#options.onChange(false);
      this.#outUntil = null;
    }
  }

  async #send(batch: readonly LogEvent[]): Promise<void> {
    // After an outage one try tells.
    const tries = this.#outUntil === null ? MAX_TRIES : 1;
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#put(batch);
        return;
      } catch (error) {
        if (isRefused(error) || attempt >= tries || this.#closing.signal.aborted) throw error;
        await this.#pause(FIRST_PAUSE_MS * 2 ** (attempt - 1) * (0.5 + Math.random()));
      }
    }
  }

  async #put(batch: readonly LogEvent[]): Promise<void> {
    const { group: logGroupName, stream: logStreamName } = this.#options;
    const put = () =>
      this.#options.client.send(
        new PutLogEventsCommand({ logGroupName, logStreamName, logEvents: [...batch] }),
        { abortSignal: this.#closing.signal },
      );
    let answer: Awaited<ReturnType<typeof put>>;
    try {
      answer = await put();
    } catch (error) {
      if (!isNamed(error, 'ResourceNotFoundException')) throw error;
      await this.#create();
      answer = await put();
    }
    const refused = answer.rejectedLogEventsInfo;
    if (refused === undefined) return;
    const tooNew = refused.tooNewLogEventStartIndex;
    const ended = Math.max(refused.tooOldLogEventEndIndex ?? 0, refused.expiredLogEventEndIndex ?? 0);
    const left = batch.filter((_event, index) => index < ended || (tooNew !== undefined && index >= tooNew));
    if (left.length === 0) return;
    this.#toFallback(left);
    this.#options.onRefused(left.length, refused);
  }

  /** Group and stream; each may have come to be meanwhile. */
  async #create(): Promise<void> {
    const {
      client,
      group: logGroupName,
      stream: logStreamName,
      retentionDays: retentionInDays,
    } = this.#options;
    const abort = { abortSignal: this.#closing.signal };
    try {
      await client.send(new CreateLogGroupCommand({ logGroupName }), abort);
      await client.send(new PutRetentionPolicyCommand({ logGroupName, retentionInDays }), abort);
    } catch (error) {
      // A role that may only write to a group that is there is a good role.
      if (!isNamed(error, 'ResourceAlreadyExistsException') && !isNamed(error, 'AccessDeniedException'))
        throw error;
    }
    try {
      await client.send(new CreateLogStreamCommand({ logGroupName, logStreamName }), abort);
    } catch (error) {
      if (!isNamed(error, 'ResourceAlreadyExistsException')) throw error;
    }
  }

  /** Ends early when the process closes. */
  async #pause(milliseconds: number): Promise<void> {
    await delay(milliseconds, undefined, { signal: this.#closing.signal }).catch(() => undefined);
  }

  /** Everything that waits. */
  #giveUp(): void {
    for (let batch = this.#queue.take(); batch.length > 0; batch = this.#queue.take())
      this.#toFallback(batch);
  }

  #toFallback(events: readonly LogEvent[]): void {
    for (const { message } of events) this.#options.fallback.write(`${message}\n`);
  }
}

/** It would be refused again. */
const isRefused = (error: unknown) => isNamed(error, 'InvalidParameterException');

const isNamed = (error: unknown, name: string) => error instanceof Error && error.name === name;
