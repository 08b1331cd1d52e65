import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import type { LogFields, Logger } from '#observability/logger.ts';
import { silentLogger } from '#observability/logger.ts';
import {
  type DependencyCheck,
  type DependencyWatch,
  watchDependencies,
} from '#observability/watch-dependencies.ts';

const opened: DependencyWatch[] = [];
afterEach(() => {
  for (const watch of opened.splice(0)) watch.close();
});

function watchWith(checks: Readonly<Record<string, DependencyCheck>>, timeoutMs = 1_000) {
  const lines: LogFields[] = [];
  const write = (fields: LogFields) => void lines.push(fields);
  const logger: Logger = { ...silentLogger, info: write, warn: write };
  const watch = watchDependencies({ checks, logger, everyMs: 5, timeoutMs });
  opened.push(watch);
  const told = (dependency: string) =>
    lines.filter((line) => line.dependency === dependency).map(({ metric, value }) => [metric, value]);
  return { watch, told };
}

test('each change is told once, as a metric', async () => {
  let isAway = false;
  let asked = 0;
  const { watch, told } = watchWith({
    async database() {
      asked += 1;
      if (isAway) throw new Error('connection refused');
    },
  });
  expect(watch.states()).toEqual({ database: 'unknown' });
  await watch.first;
  expect(watch.states()).toEqual({ database: 'ok' });
  isAway = true;
  await expect.poll(watch.states).toEqual({ database: 'failed' });
  const before = asked;
  await expect.poll(() => asked).toBeGreaterThan(before + 3);
  isAway = false;
  await expect.poll(watch.states).toEqual({ database: 'ok' });
  expect(told('database')).toEqual([
    ['DependencyUp', 1],
    ['DependencyUp', 0],
    ['DependencyUp', 1],
  ]);
});

test('a dependency that says nothing has failed after its time, is asked once at a time, and holds up no other', async () => {
  const held = Promise.withResolvers<void>();
  let asked = 0;
  const { watch } = watchWith(
    {
      silent() {
        asked += 1;
        return held.promise;
      },
      other: async () => {},
    },
    50,
  );
  await expect.poll(() => watch.states().other).toBe('ok');
  await watch.first;
  expect(watch.states()).toEqual({ silent: 'failed', other: 'ok' });
  await delay(100);
  expect(asked).toBe(1);
  held.resolve();
  await expect.poll(() => watch.states().silent).toBe('ok');
});

test('what a dependency needs in turn is known through it alone', async () => {
  let isAway = false;
  const { watch, told } = watchWith({
    async orchestrator() {
      if (isAway) throw new Error('connection refused');
      return { engine: 'ok' };
    },
  });
  await watch.first;
  expect(watch.states()).toEqual({ orchestrator: 'ok', engine: 'ok' });
  isAway = true;
  await expect.poll(watch.states).toEqual({ orchestrator: 'failed', engine: 'unknown' });
  // It may be up: no value says that it is not.
  expect(told('engine')).toEqual([
    ['DependencyUp', 1],
    [undefined, undefined],
  ]);
});
