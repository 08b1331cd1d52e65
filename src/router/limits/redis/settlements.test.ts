import { describe, expect, it } from 'vitest';
import { createSettlements, type Settlement } from '#router/limits/redis/settlements.ts';

const settlement = (requestId: string, used: number | null = 5, released = true): Settlement => ({
  keys: ['bulkhead:{acme}:limits:tenant'],
  requestId,
  used,
  released,
});

/** A Redis that can be away; told of settlements, by request: tokens and whether the place is free. */
function fixture() {
  const state = { isAway: false, now: 0 };
  const told: string[] = [];
  const settlements = createSettlements({
    redis: {
      async settle(_keys, args) {
        if (state.isAway) throw new Error('away');
        told.push(args.join(' '));
        return [1];
      },
    },
    breaker: { run: (call) => call() },
    monotonicNow: () => state.now,
  });
  return { state, told, settlements };
}

describe('settlements', () => {
  it('wait for a Redis that is away, and are told once when it is back', async () => {
    const { state, told, settlements } = fixture();
    state.isAway = true;
    await settlements.settle(settlement('a'));
    await settlements.settle(settlement('b', null));
    await settlements.catchUp();
    expect({ told, waiting: settlements.size }).toEqual({ told: [], waiting: 2 });
    state.isAway = false;
    await Promise.all([settlements.catchUp(), settlements.catchUp()]);
    await settlements.catchUp();
    expect({ told, waiting: settlements.size }).toEqual({ told: ['a 5 1', 'b -1 1'], waiting: 0 });
  });

  it('of one request replace each other', async () => {
    const { state, told, settlements } = fixture();
    state.isAway = true;
    await settlements.settle(settlement('a', 5, false));
    await settlements.settle(settlement('a', 9, true));
    state.isAway = false;
    await settlements.catchUp();
    expect(told).toEqual(['a 9 1']);
  });

  it('that nobody needs any more are forgotten', async () => {
    const { state, told, settlements } = fixture();
    state.isAway = true;
    await settlements.settle(settlement('old'));
    state.now = 30_000;
    await settlements.settle(settlement('young'));
    // Trying again makes nothing younger.
    await settlements.catchUp();
    state.now = 60_000;
    state.isAway = false;
    await settlements.catchUp();
    expect({ told, waiting: settlements.size }).toEqual({ told: ['young 5 1'], waiting: 0 });
  });

  it('are bounded: the oldest are given up', async () => {
    const { state, told, settlements } = fixture();
    state.isAway = true;
    for (let i = 0; i < 20_005; i++) await settlements.settle(settlement(`r${i}`));
    expect(settlements.size).toBe(20_000);
    state.isAway = false;
    await settlements.catchUp();
    expect([told.length, told[0], told.at(-1)]).toEqual([20_000, 'r5 5 1', 'r20004 5 1']);
  });
});
