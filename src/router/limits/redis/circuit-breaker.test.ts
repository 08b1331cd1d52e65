import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import {
  CallTimeoutError,
  CircuitOpenError,
  createCircuitBreaker,
} from '#router/limits/redis/circuit-breaker.ts';

const never = () => new Promise<never>(() => undefined);

function breakerAt(silenceMs = 20, timeoutMs = 5_000) {
  const clock = { now: 0 };
  const changes: boolean[] = [];
  const breaker = createCircuitBreaker({
    silenceMs,
    timeoutMs,
    cooldownMs: 1_000,
    monotonicNow: () => performance.now() + clock.now,
    onChange: (open) => changes.push(open),
  });
  return { breaker, changes, clock };
}

describe('a circuit breaker', () => {
  it('opens at the first failure and calls no more until the cool-down is over', async () => {
    const { breaker, changes } = breakerAt();
    await expect(breaker.run(() => Promise.reject(new Error('down')))).rejects.toThrow('down');
    let calls = 0;
    const count = async () => calls++;
    await expect(breaker.run(count)).rejects.toBeInstanceOf(CircuitOpenError);
    expect({ calls, changes, isOpen: breaker.isOpen }).toEqual({ calls: 0, changes: [true], isOpen: true });
  });

  it('takes silence for a failure, however many wait', async () => {
    const { breaker, changes } = breakerAt();
    const outcomes = await Promise.allSettled(Array.from({ length: 50 }, () => breaker.run(never)));
    expect(
      outcomes.every(
        (outcome) => outcome.status === 'rejected' && outcome.reason instanceof CallTimeoutError,
      ),
    ).toBe(true);
    expect(changes).toEqual([true]);
  });

  it('does not take a queue for silence: answers to others show that it is alive', async () => {
    const { breaker, changes } = breakerAt(500);
    const slow = breaker.run(() => sleep(1_200, 'late but sure'));
    for (let i = 0; i < 12; i++) {
      await breaker.run(async () => undefined);
      await sleep(100);
    }
    expect(await slow).toBe('late but sure');
    expect(changes).toEqual([]);
  });

  it('waits for nobody for ever', async () => {
    const { breaker } = breakerAt(200, 300);
    const hanging = expect(breaker.run(never)).rejects.toBeInstanceOf(CallTimeoutError);
    for (let i = 0; i < 10; i++) {
      await breaker.run(async () => undefined).catch(() => undefined);
      await sleep(50);
    }
    await hanging;
  });

  it('lets one probe through after the cool-down, and closes when it succeeds', async () => {
    const { breaker, changes, clock } = breakerAt();
    await breaker.run(() => Promise.reject(new Error('down'))).catch(() => undefined);
    clock.now += 1_001;
    const probe = breaker.run(() => sleep(5, 'up'));
    await expect(breaker.run(async () => 'second')).rejects.toBeInstanceOf(CircuitOpenError);
    expect(await probe).toBe('up');
    expect(await breaker.run(async () => 'third')).toBe('third');
    expect(changes).toEqual([true, false]);
  });

  it('stays open when the probe fails', async () => {
    const { breaker, clock } = breakerAt();
    await breaker.run(() => Promise.reject(new Error('down'))).catch(() => undefined);
    clock.now += 1_001;
    await breaker.run(() => Promise.reject(new Error('still'))).catch(() => undefined);
    await expect(breaker.run(async () => 'soon')).rejects.toBeInstanceOf(CircuitOpenError);
  });
});
