import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FairSemaphore, type Release } from '#app/fair/fair-semaphore.ts';

const never = new AbortController().signal;
const options = { resource: 'places', capacity: 1, maxWaiting: 1_000_000, maxWaitMs: 60_000 };

/** Of calls that still wait when their test ends: they are refused a minute later. */
const ignoreRefusal = () => {};

/** Lets all that was granted go on. */
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

test('a thousand waiting calls of one tenant delay another’s first by one place', async () => {
  const places = new FairSemaphore({ ...options, capacity: 3, alpha: Number.POSITIVE_INFINITY });
  const order: string[] = [];
  const held: Release[] = [];
  const ask = (tenant: string) =>
    void places.acquire(tenant, never).then((release) => {
      order.push(tenant);
      held.push(release);
    }, ignoreRefusal);
  for (let call = 0; call < 1_003; call++) ask('globex');
  await settle();
  ask('acme');
  ask('initech');
  await settle();
  expect(order).toEqual(['globex', 'globex', 'globex']);
  for (let round = 0; round < 4; round++) {
    held.shift()?.();
    await settle();
  }
  expect(order.slice(3)).toEqual(['acme', 'initech', 'globex', 'globex']);
});

test('tenants take turns at one place, and a tenant’s own calls keep their order', async () => {
  const places = new FairSemaphore(options);
  const order: string[] = [];
  const work = (tenant: string, name: string) =>
    places.run(tenant, never, async () => {
      await settle();
      order.push(name);
    });
  await Promise.all([
    ...['g1', 'g2', 'g3', 'g4'].map((name) => work('globex', name)),
    ...['a1', 'a2'].map((name) => work('acme', name)),
    work('initech', 'i1'),
  ]);
  expect(order).toEqual(['g1', 'a1', 'i1', 'g2', 'a2', 'g3', 'g4']);
  expect(places.stats).toMatchObject({ held: 0, waiting: 0, tenants: 0, granted: 7, refused: 0 });
});

test('places that are held for ever leave some for a tenant that comes later', async () => {
  const places = new FairSemaphore({ ...options, capacity: 10 });
  for (let call = 0; call < 20; call++) places.acquire('globex', never).catch(ignoreRefusal);
  await settle();
  expect(places.stats).toMatchObject({ held: 8, waiting: 12 });
  await places.acquire('acme', never);
  expect([...places.byTenant()]).toEqual([
    { tenantId: 'globex', held: 8, waiting: 12 },
    { tenantId: 'acme', held: 1, waiting: 0 },
  ]);
});

test('a tenant over its share is told so, and one that is not learns that all is in use', async () => {
  const places = new FairSemaphore({ ...options, capacity: 2, maxWaiting: 4, maxWaitMs: 30 });
  const calls = Array.from({ length: 8 }, () => places.acquire('globex', never));
  // One place, two in the queue: the other half of it is for others.
  const outcomes = await Promise.allSettled(calls);
  const codes = outcomes.map((outcome) => (outcome.status === 'rejected' ? outcome.reason.code : 'held'));
  expect(codes).toEqual(['held', ...Array.from({ length: 7 }, () => 'tenant_overloaded')]);
  await places.acquire('acme', never);
  await expect(places.acquire('initech', never)).rejects.toMatchObject({
    code: 'overloaded',
    status: 503,
    retryable: true,
    retryAfterMs: 1_000,
  });
  await expect(places.acquire('globex', never)).rejects.toMatchObject({
    code: 'tenant_overloaded',
    status: 429,
    retryable: true,
  });
});

test('a call that leaves gives up its place in the queue at once, and the place that it has just been given', async () => {
  const places = new FairSemaphore(options);
  const first = await places.acquire('globex', never);
  const leaving = new AbortController();
  const reason = new Error('The client has left.');
  const waiting = places.acquire('globex', leaving.signal);
  const granted = places.acquire('acme', leaving.signal);
  const outcomes = Promise.allSettled([waiting, granted]);
  expect(places.stats.waiting).toBe(2);
  // Both in one turn: the place is given to a call whose signal has fired before the call goes on.
  first();
  leaving.abort(reason);
  expect(places.stats.waiting).toBe(0);
  for (const outcome of await outcomes) expect(outcome).toMatchObject({ status: 'rejected', reason });
  expect(places.stats).toMatchObject({ held: 0, waiting: 0, tenants: 0 });
  await expect(places.acquire('acme', AbortSignal.abort(reason))).rejects.toBe(reason);
});

type Call = {
  tenant: string;
  state: 'waiting' | 'held' | 'gone';
  abort: AbortController;
  release: Release | undefined;
};

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('acquire' as const), of: fc.nat({ max: 4 }) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('release' as const), of: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('release twice' as const), of: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('abort' as const), of: fc.nat() }) },
);

test('whatever comes and goes: never above the capacity, no place lost or doubled, none kept from who may have it', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 6 }),
      fc.constantFrom(0.5, 1, 4, Number.POSITIVE_INFINITY),
      fc.integer({ min: 0, max: 12 }),
      fc.array(step, { maxLength: 60 }),
      async (capacity, alpha, maxWaiting, steps) => {
        const places = new FairSemaphore({ ...options, capacity, alpha, maxWaiting });
        const calls: Call[] = [];
        const of = (state: Call['state']) => calls.filter((call) => call.state === state);
        const heldBy = (tenant: string) => of('held').filter((call) => call.tenant === tenant).length;
        for (const { do: what, of: which } of steps) {
          if (what === 'acquire') {
            const call: Call = {
              tenant: `t${which}`,
              state: 'waiting',
              abort: new AbortController(),
              release: undefined,
            };
            calls.push(call);
            places.acquire(call.tenant, call.abort.signal).then(
              (release) => Object.assign(call, { state: 'held', release }),
              () => Object.assign(call, { state: 'gone' }),
            );
          } else {
            const among = of(what === 'abort' ? 'waiting' : 'held');
            const call = among[which % Math.max(1, among.length)];
            if (call !== undefined) {
              if (what === 'abort') call.abort.abort(new Error('left'));
              else call.release?.();
              if (what === 'release twice') call.release?.();
              call.state = 'gone';
            }
          }
          await settle();
          const held = of('held').length;
          const free = capacity - held;
          expect(held).toBeLessThanOrEqual(capacity);
          expect(places.stats).toMatchObject({ held, waiting: of('waiting').length });
          // A free place is kept only from tenants that the threshold stops.
          for (const { tenant } of of('waiting')) {
            const own = heldBy(tenant);
            expect(free === 0 || (own > 0 && (own + 1) / alpha > free - 1)).toBe(true);
          }
        }
        for (let round = 0; round <= calls.length; round++) {
          for (const call of of('held')) {
            call.release?.();
            call.state = 'gone';
          }
          await settle();
        }
        // Nothing starved: all that waited was served, and nothing is left.
        expect(of('waiting')).toEqual([]);
        expect(places.stats).toMatchObject({ held: 0, waiting: 0, tenants: 0 });
      },
    ),
    { numRuns: 150 },
  );
});

test('every waiting tenant is served once before any is served twice, however many calls each has', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 4 }),
      fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 2, maxLength: 6 }),
      async (capacity, lengths) => {
        const places = new FairSemaphore({ ...options, capacity, alpha: Number.POSITIVE_INFINITY });
        const held: Release[] = await Promise.all(
          Array.from({ length: capacity }, () => places.acquire('first', never)),
        );
        const order: number[] = [];
        for (const [tenant, length] of lengths.entries())
          for (let call = 0; call < length; call++)
            void places.acquire(`t${tenant}`, never).then((release) => {
              order.push(tenant);
              held.push(release);
            });
        for (let next = held.shift(); next !== undefined; next = held.shift()) {
          next();
          await settle();
        }
        expect(order).toHaveLength(lengths.reduce((sum, length) => sum + length, 0));
        expect(new Set(order.slice(0, lengths.length)).size).toBe(lengths.length);
        // Between two places of a tenant that still waits, another gets at most as many as it can hold, and one.
        for (const [tenant] of lengths.entries()) {
          const turns = order.flatMap((served, at) => (served === tenant ? [at] : []));
          for (const [index, at] of turns.slice(1).entries()) {
            const between = order.slice((turns[index] ?? 0) + 1, at);
            for (const other of new Set(between))
              expect(between.filter((served) => served === other).length).toBeLessThanOrEqual(capacity + 1);
          }
        }
      },
    ),
    { numRuns: 60 },
  );
});
