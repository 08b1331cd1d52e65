/**
 * `npm run test:integration`: starts the real servers that this machine has, runs the integration tests against
 * them, and stops what it started, however it ends. What is not installed is said, and its tests are skipped; in
 * CI (`CI=true`) that is a failure. `scripts/install-integration-dependencies.sh` installs everything.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { startJaeger } from '../test/support/start-jaeger.ts';
import { startLlamaServer } from '../test/support/start-llama-server.ts';
import { startMoto } from '../test/support/start-moto.ts';
import { startPostgres } from '../test/support/start-postgres.ts';
import { startRedis } from '../test/support/start-redis.ts';
import { NotInstalledError, type StartedServer } from '../test/support/started-server.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const VITEST = fileURLToPath(new URL('../node_modules/vitest/vitest.mjs', import.meta.url));

/** A server that is wanted, and the variable that says that one runs already. */
const SERVERS: readonly { name: string; given: string; start: () => Promise<StartedServer> }[] = [
  { name: 'PostgreSQL', given: 'TEST_POSTGRES_URL', start: startPostgres },
  { name: 'Redis', given: 'REDIS_URL', start: startRedis },
  { name: 'llama.cpp', given: 'TEST_LLAMA_URL', start: startLlamaServer },
  { name: 'moto (AWS)', given: 'TEST_AWS_URL', start: startMoto },
  { name: 'Jaeger', given: 'TEST_JAEGER_QUERY_URL', start: startJaeger },
];

const started: StartedServer[] = [];
const missing: string[] = [];
const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => stopping.abort(signal));
}

async function startAll(): Promise<void> {
  for (const { name, given, start } of SERVERS) {
    if (stopping.signal.aborted) return;
    if ((process.env[given] ?? '') !== '') {
      console.error(`${name}: ${given} is set; it is used as it is.`);
      continue;
    }
    try {
      const began = performance.now();
      started.push(await start());
      console.error(`${name}: started (${((performance.now() - began) / 1_000).toFixed(1)} s)`);
    } catch (error) {
      if (!(error instanceof NotInstalledError)) throw error;
      missing.push(`${name}: ${error.message}`);
    }
  }
}

function sayWhatIsMissing(): void {
  if (missing.length === 0) return;
  console.error(
    [
      '',
      '!!! NOT EVERYTHING IS TESTED: these servers are missing, and tests that need them are skipped.',
      ...missing.map((what) => `!!!   ${what}`),
      '!!! scripts/install-integration-dependencies.sh installs them.',
      '',
    ].join('\n'),
  );
}

/** Resolves with vitest's exit code. It gets a group of its own, so that Ctrl-C reaches it once, through us. */
function runTests(args: readonly string[]): Promise<number> {
  const env = Object.assign({ ...process.env }, ...started.map((server) => server.env));
  const child = spawn(process.execPath, [VITEST, 'run', '--project', 'integration', ...args], {
    cwd: ROOT,
    env,
    stdio: ['ignore', 'inherit', 'inherit'],
    detached: true,
  });
  const forward = () => {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGTERM');
  };
  stopping.signal.addEventListener('abort', forward, { once: true });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      stopping.signal.removeEventListener('abort', forward);
      resolve(code ?? 1);
    });
  });
}

try {
  await startAll();
  sayWhatIsMissing();
  const isCi = process.env.CI === 'true';
  const code = stopping.signal.aborted ? 130 : await runTests(process.argv.slice(2));
  sayWhatIsMissing();
  process.exitCode = stopping.signal.aborted ? 130 : code !== 0 ? code : isCi && missing.length > 0 ? 1 : 0;
} finally {
  for (const server of started.reverse()) {
    await server.stop().catch((error: unknown) => {
      console.error(`${server.name} did not stop well: ${error instanceof Error ? error.message : error}`);
      process.exitCode ||= 1;
    });
  }
}
