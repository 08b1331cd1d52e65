import { spawn } from 'node:child_process';
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { startStepMeter, threadCpuMs } from '#test/support/step-meter.ts';

const PLANTED_MS = 60;

/** Takes so much CPU time in one piece, however long that is on a busy machine. */
function busy(cpuMs: number): void {
  for (const until = threadCpuMs() + cpuMs; threadCpuMs() < until; );
}

const children: ReturnType<typeof spawn>[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

describe('the step meter', () => {
  it('sees a step that was planted, and of two the longer, not both together', async () => {
    const meter = startStepMeter();
    await nextTurn();
    busy(PLANTED_MS);
    await nextTurn();
    await nextTurn();
    busy(PLANTED_MS / 2);
    await nextTurn();
    const { longestMs, turns } = await meter.stop();
    expect(longestMs).toBeGreaterThanOrEqual(PLANTED_MS);
    expect(longestMs).toBeLessThan(PLANTED_MS * 1.4);
    expect(turns).toBeGreaterThan(3);
  });

  it('sees a step that is made of many promises, between which the event loop does not turn', async () => {
    const meter = startStepMeter();
    await nextTurn();
    for (let nth = 0; nth < 12; nth++) {
      busy(PLANTED_MS / 12);
      await Promise.resolve();
    }
    await nextTurn();
    expect((await meter.stop()).longestMs).toBeGreaterThanOrEqual(PLANTED_MS);
  });

  it('does not count sleeping, of the loop or of the thread', async () => {
    const meter = startStepMeter();
    await delay(100);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
    await delay(20);
    expect((await meter.stop()).longestMs).toBeLessThan(PLANTED_MS / 2);
  });

  it('does not count the load of other processes', async () => {
    // More than there are processors, so that this thread waits for its turn.
    for (let nth = 0; nth < 4; nth++) {
      children.push(spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' }));
    }
    await delay(300);
    const meter = startStepMeter();
    for (const until = performance.now() + 1_000; performance.now() < until; ) await nextTurn();
    const { longestMs } = await meter.stop();
    expect(longestMs).toBeLessThan(PLANTED_MS / 2);
  });

  it('tells of the collector’s pauses within the longest step', async () => {
    // The runtime reports pauses later than they happen, and on a busy machine later than the meter waits for them.
    let seen = { longestMs: 0, collectorMs: 0 };
    for (let attempt = 0; attempt < 10 && seen.collectorMs === 0; attempt++) {
      const meter = startStepMeter();
      await nextTurn();
      let kept: number[][] = [];
      for (const until = threadCpuMs() + PLANTED_MS * 2; threadCpuMs() < until; ) {
        kept.push(Array.from({ length: 500 }, (_, index) => index));
        if (kept.length > 2_000) kept = [];
      }
      await nextTurn();
      seen = await meter.stop();
      expect(seen.longestMs).toBeGreaterThanOrEqual(PLANTED_MS);
    }
    expect(seen.collectorMs).toBeGreaterThan(0);
  });
});
