import { defineConfig } from 'vitest/config';

/** Three tiers: `unit` needs nothing but the clone; `integration` needs native servers; both run real parts. */
export default defineConfig({
  test: {
    globalSetup: 'test/support/global-setup.ts',
    projects: [
      {
        test: {
          name: 'unit',
          include: [
            'src/**/*.test.ts',
            'test/*.test.ts',
            'test/acceptance/**/*.test.ts',
            'test/isolation/**/*.test.ts',
          ],
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'integration',
          // One freezes Redis, another kills routers under load: beside each other they would test each other.
          fileParallelism: false,
          include: ['test/integration/**/*.test.ts', 'test/chaos/**/*.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 300_000,
        },
      },
    ],
    pool: 'forks',
    maxWorkers: 2,
  },
});
