import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/**
 * Files beside the code that take long: they kill processes, wait for time-outs, or measure growth with the length of a
 * text. They run with `npm run check`, not with `npm test`, which must stay below two minutes.
 */
const SLOW = [
  'src/cli/up/up.test.ts',
  'src/cli/up/demo/demo.test.ts',
  'src/rag/create-rag.test.ts',
  'src/rag/ingest/parse/document-parser.test.ts',
  'src/router/guardrails/linear-time.test.ts',
  'src/router/guardrails/long-texts.test.ts',
  'src/router/policy/slow-patterns.test.ts',
];

const local = {
  testTimeout: 60_000,
  hookTimeout: 120_000,
  // What Node compiles, stripped of its types: without it every file pays for that again.
  env: { NODE_COMPILE_CACHE: fileURLToPath(new URL('.cache/node', import.meta.url)) },
};

/**
 * Three tiers of real parts. `unit` (`npm test`) and `acceptance` (with `npm run check`) need nothing but the clone;
 * `integration` needs native servers.
 */
export default defineConfig({
  test: {
    globalSetup: 'test/support/global-setup.ts',
    // Node runs the sources as in production, stripping the types itself: half the CPU time of Vite's module runner.
    experimental: { viteModuleRunner: false, nodeLoader: false },
    projects: [
      {
        test: {
          ...local,
          name: 'unit',
          include: ['src/**/*.test.ts', 'test/*.test.ts', 'test/isolation/**/*.test.ts'],
          exclude: SLOW,
        },
      },
      {
        test: {
          ...local,
          name: 'acceptance',
          include: ['test/acceptance/**/*.test.ts', 'test/stalls/**/*.test.ts', ...SLOW],
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
