import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { tenantConfigSchema } from '#app/schemas/tenant-config.ts';
import { compilePolicy } from '#router/policy/compile-policy.ts';
import { ContentTimeout, createContentLane } from '#router/policy/content-lane.ts';
import { createContentThread } from '#router/policy/content-thread.ts';

const never = new AbortController().signal;
/** More states than any automaton can be made of: every character costs an instruction of each of them. */
const SLOW = '[a-h][^z]{480}z';

const configOf = (tenantId: string, fields: Record<string, unknown>) =>
  tenantConfigSchema.parse({ tenant_id: tenantId, display_name: tenantId, ...fields });
const patterns = (pattern: string, count: number) => ({
  sensitive_patterns: Array.from({ length: count }, (_, index) => ({ name: `p${index}`, pattern })),
});
/** Letters without an order that an automaton could use. */
function letters(length: number): string {
  let state = 7;
  return Array.from({ length }, () => {
    state = (state * 1_103_515_245 + 12_345) & 0x7fffffff;
    return 'abcdefghijklmnop'[(state >> 16) & 15];
  }).join('');
}
const long = { text: letters(1_000_000), param: 'message' };

const toClose: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of toClose.splice(0)) await one.close();
});

/** CPU time of the whole process in a window of time, as a part of it. */
async function loadOfProcess(windowMs: number): Promise<number> {
  const before = process.cpuUsage();
  const began = performance.now();
  await delay(windowMs);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000 / (performance.now() - began);
}

describe('the thread for long texts', () => {
  it('is never beside the one that ends, though that is in a native call which nothing interrupts', async () => {
    let alive = 0;
    let most = 0;
    const lane = createContentLane({
      maxJobMs: 50,
      startThread: () => {
        // A normalisation that takes about a second, and that `terminate` waits for.
        const stuck = new Worker(
          `const { parentPort } = require('node:worker_threads');
           const text = 'a' + '\\u0301\\u0316\\u0345'.repeat(16000);
           parentPort.on('message', () => {
             parentPort.postMessage({ began: true });
             text.normalize('NFKC');
           });`,
          { eval: true },
        );
        alive += 1;
        most = Math.max(most, alive);
        stuck.once('exit', () => {
          alive -= 1;
        });
        return stuck;
      },
    });
    toClose.push(lane);
    const job = { config: configOf('acme', {}), version: 1, text: long };
    for (let nth = 0; nth < 3; nth++) {
      await expect(lane.run(job)).rejects.toThrow();
      expect(lane.threads).toBeLessThanOrEqual(1);
    }
    expect(most).toBe(1);
    await lane.close();
    expect(alive).toBe(0);
  });

  it('leaves no thread at work after texts that were given up', async () => {
    const thread = createContentThread({ maxJobMs: 200 });
    toClose.push(thread);
    const slow = compilePolicy(configOf('acme', patterns(SLOW, 10)), 1);
    const results = await Promise.allSettled([1, 2, 3].map(() => thread.decide(slow, long, never)));
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    await expect.poll(() => thread.threads, { timeout: 10_000 }).toBe(0);
    expect(await loadOfProcess(1_000)).toBeLessThan(0.5);
  });

  it('reads a text of nothing but combining marks at once', async () => {
    const thread = createContentThread();
    toClose.push(thread);
    const rules = { refusal_rules: [{ name: 'r', phrases: ['never said'] }] };
    const policy = compilePolicy(configOf('acme', rules), 1);
    const marks = `a${'\u0301\u0316\u0345'.repeat(300_000)}`;
    for (const text of [marks, `${marks} never said`, '\uff9e'.repeat(900_000)]) {
      const { refusal } = await thread.decide(policy, { text, param: 'message' }, never);
      expect(refusal === null).toBe(!text.endsWith('never said'));
    }
  });

  it('gives others their turn at once while texts of one tenant take too long', async () => {
    const thread = createContentThread({ maxJobMs: 500 });
    toClose.push(thread);
    const slow = compilePolicy(configOf('acme', patterns(SLOW, 10)), 1);
    const usual = compilePolicy(configOf('globex', patterns('never said', 1)), 1);
    await expect(thread.decide(slow, long, never)).rejects.toThrow(ContentTimeout);
    const left = new AbortController();
    let done = 0;
    const next = Promise.allSettled(
      [1, 2, 3].map(async () => {
        await thread.decide(slow, long, left.signal).finally(() => {
          done += 1;
        });
      }),
    );
    for (let nth = 0; nth < 3; nth++) await thread.decide(usual, long, never);
    // Three of the others take milliseconds each; three of the first tenant’s take seconds, and rests between them.
    expect(done).toBeLessThan(3);
    expect(thread.threads).toBeLessThanOrEqual(2);
    left.abort();
    await next;
  });
});
