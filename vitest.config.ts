import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/**
 * Files that take long: they kill processes, wait for time-outs, generate inputs by the thousand, or measure growth with
 * the length of a text. They run with `npm run check`, not with `npm test`, which must stay below two minutes.
 */
const SLOW = [
  'src/app/database/migrate.test.ts',
  'src/app/http/connection-lanes.test.ts',
  'src/app/http/serve.test.ts',
  'src/cli/commands/migrate.test.ts',
  'src/cli/up/demo/demo.test.ts',
  'src/cli/up/up.test.ts',
  'src/inference/openai/hostile-engine.test.ts',
  'src/rag/create-rag.test.ts',
  'src/rag/index/lance-vault-index.test.ts',
  'src/rag/ingest/chunk/chunk-document.test.ts',
  'src/rag/ingest/ingest-queue.test.ts',
  'src/rag/ingest/parse/document-parser.test.ts',
  'src/rag/ingest/parse/parse-markdown.test.ts',
  'src/router/dry-run/policy-dry-run.test.ts',
  'src/router/export/tenant-export.test.ts',
  'src/router/guardrails/failing-guardrails.test.ts',
  'src/router/guardrails/linear-time.test.ts',
  'src/router/guardrails/long-texts.test.ts',
  'src/router/http/drain.test.ts',
  'src/router/http/pending-bodies.test.ts',
  'src/router/http/readiness.test.ts',
  'src/router/http/watch-reader.test.ts',
  'src/router/identity/jwt/hostile-issuer.test.ts',
  'src/router/identity/last-used.test.ts',
  'src/router/policy/content-lane.test.ts',
  'src/router/policy/slow-patterns.test.ts',
  'src/router/request-log/request-log.test.ts',
  'src/router/responses/kept/kept-bounds.test.ts',
  'src/router/tenants/tenant-erasure.test.ts',
  'src/router/vault/storage-limits.test.ts',
  'test/spending.test.ts',
  'test/step-meter.test.ts',
];

const local = {
  testTimeout: 60_000,
  hookTimeout: 120_000,
  expect: { poll: { timeout: 10_000 } },
  // PGlite is the only WebAssembly here, and no test uses it long enough for the optimising compiler to pay.
  execArgv: ['--liftoff-only'],
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
          include: ['src/**/*.test.ts', 'test/*.test.ts', 'test/isolation/one-process.test.ts'],
          exclude: SLOW,
          // Files of one worker share its modules: importing the router in each took longer than its tests.
          isolate: false,
        },
      },
      {
        test: {
          ...local,
          name: 'acceptance',
          include: [
            'test/acceptance/**/*.test.ts',
            'test/isolation/answers.test.ts',
            'test/stalls/**/*.test.ts',
            ...SLOW,
          ],
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
