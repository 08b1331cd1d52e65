import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  EVENT_OVERHEAD_BYTES,
  type LogEvent,
  LogQueue,
  MAX_BATCH_BYTES,
  MAX_BATCH_EVENTS,
  MAX_BATCH_SPAN_MS,
  MAX_EVENT_BYTES,
} from '#observability/cloudwatch/log-queue.ts';

const bytesOf = (events: readonly LogEvent[]) =>
  events.reduce((sum, { message }) => sum + Buffer.byteLength(message) + EVENT_OVERHEAD_BYTES, 0);

function takeAll(queue: LogQueue): LogEvent[][] {
  const batches: LogEvent[][] = [];
  for (let batch = queue.take(); batch.length > 0; batch = queue.take()) batches.push(batch);
  return batches;
}

describe('lines that wait for CloudWatch', () => {
  test('leave in batches within every limit, in order, and none is lost', () => {
    const line = fc.record({
      // Hours forth and back.
      step: fc.integer({ min: -3_600_000, max: 12 * 3_600_000 }),
      text: fc.oneof(
        fc.string({ minLength: 1, unit: 'grapheme' }),
        fc.integer({ min: 1, max: 300_000 }).map((length) => 'é'.repeat(length)),
      ),
    });
    fc.assert(
      fc.property(fc.array(line, { maxLength: 60 }), (lines) => {
        const queue = new LogQueue();
        let timestamp = 1_750_000_000_000;
        for (const { step, text } of lines) {
          timestamp += step;
          queue.push({ timestamp, message: text });
        }
        const batches = takeAll(queue);
        const events = batches.flat();
        expect(events.length).toBe(lines.length);
        expect(queue.bytes).toBe(0);
        for (const [index, { message }] of events.entries()) {
          const { text = '' } = lines[index] ?? {};
          if (Buffer.byteLength(text) <= MAX_EVENT_BYTES) expect(message).toBe(text);
          else expect(text.startsWith(message.replace('…[cut]', ''))).toBe(true);
        }
        for (const batch of batches) {
          expect(batch.length).toBeLessThanOrEqual(MAX_BATCH_EVENTS);
          expect(bytesOf(batch)).toBeLessThanOrEqual(MAX_BATCH_BYTES);
          const times = batch.map((event) => event.timestamp);
          expect(times).toEqual([...times].sort((a, b) => a - b));
          expect((times.at(-1) ?? 0) - (times[0] ?? 0)).toBeLessThan(MAX_BATCH_SPAN_MS);
        }
      }),
      { numRuns: 60 },
    );
  });

  test('are ten thousand a batch at most', () => {
    const queue = new LogQueue();
    for (let index = 0; index < 25_000; index++) queue.push({ timestamp: 1, message: `${index}` });
    expect(takeAll(queue).map((batch) => batch.length)).toEqual([10_000, 10_000, 5_000]);
  });

  test('are cut at a whole character where they are too long', () => {
    const queue = new LogQueue();
    queue.push({ timestamp: 1, message: `a${'€'.repeat(100_000)}` });
    const [message = ''] = queue.take().map((event) => event.message);
    expect(Buffer.byteLength(message)).toBeLessThanOrEqual(MAX_EVENT_BYTES);
    expect(message).toMatch(/^a€+…\[cut\]$/);
  });

  test('have something in them', () => {
    const queue = new LogQueue();
    queue.push({ timestamp: 1, message: '' });
    expect(queue.take()).toEqual([]);
  });
});
