/** One line as `PutLogEvents` takes it. */
export type LogEvent = Readonly<{
  /** Milliseconds since 1970. */
  timestamp: number;
  message: string;
}>;

/**
 * Limits of one `PutLogEvents`: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html.
 * Bytes are those of the messages in UTF-8 and 26 for each. Events are in order of time. A batch once had to lie within
 * 24 hours everywhere, and still has to in some partitions.
 */
export const MAX_BATCH_EVENTS = 10_000;
export const MAX_BATCH_BYTES = 1_048_576;
export const EVENT_OVERHEAD_BYTES = 26;
export const MAX_BATCH_SPAN_MS = 24 * 3_600_000;
/** 1 MB in most partitions; 256 KB in the others. */
export const MAX_EVENT_BYTES = 262_144 - EVENT_OVERHEAD_BYTES;

type Waiting = LogEvent & Readonly<{ bytes: number }>;

/** Lines that wait to be sent, in their order, and the batches that they are sent in. */
export class LogQueue {
  #waiting: Waiting[] = [];
  #bytes = 0;
  #newest = 0;

  /** Of all that waits, as `PutLogEvents` counts them. */
  get bytes(): number {
    return this.#bytes;
  }

  get size(): number {
    return this.#waiting.length;
  }

  /** A line that is longer than an event may be is cut. A clock that went back does not disturb the order. */
  push({ timestamp, message }: LogEvent): void {
    const { text, bytes } = cutToSize(message);
    if (bytes === 0) return;
    this.#newest = Math.max(this.#newest, timestamp);
    this.#waiting.push({ timestamp: this.#newest, message: text, bytes: bytes + EVENT_OVERHEAD_BYTES });
    this.#bytes += bytes + EVENT_OVERHEAD_BYTES;
  }

  /** Takes the oldest lines out, as many as one call may carry; none: nothing waits. */
  take(): LogEvent[] {
    const first = this.#waiting[0];
    if (first === undefined) return [];
    let bytes = 0;
    let count = 0;
    for (const event of this.#waiting) {
      const isFull = count === MAX_BATCH_EVENTS || bytes + event.bytes > MAX_BATCH_BYTES;
      if (isFull || event.timestamp - first.timestamp >= MAX_BATCH_SPAN_MS) break;
      bytes += event.bytes;
      count += 1;
    }
    this.#bytes -= bytes;
    return this.#waiting.splice(0, count).map(({ timestamp, message }) => ({ timestamp, message }));
  }
}

const CUT = '…[cut]';

function cutToSize(message: string): { text: string; bytes: number } {
  const bytes = Buffer.byteLength(message);
  if (bytes <= MAX_EVENT_BYTES) return { text: message, bytes };
  const room = MAX_EVENT_BYTES - Buffer.byteLength(CUT);
  // A character that the cut went through is left out.
  const kept = Buffer.from(message)
    .subarray(0, room)
    .toString('utf8')
    .replace(/\uFFFD$/, '');
  const text = kept + CUT;
  return { text, bytes: Buffer.byteLength(text) };
}
