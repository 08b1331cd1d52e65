import { join } from 'node:path';
import { startChildService, untilReady } from './child-service.ts';
import { findProgram } from './find-program.ts';
import { integrationCache } from './integration-cache.ts';
import { NotInstalledError, type StartedServer } from './started-server.ts';

/** Jaeger's own ports: it has no way to take free ones without a file of settings. */
const OTLP_URL = 'http://127.0.0.1:4318';
const QUERY_URL = 'http://127.0.0.1:16686';

/**
 * Jaeger, all in one and in memory. One at a time. Tests find it by `TEST_JAEGER_OTLP_URL` and
 * `TEST_JAEGER_QUERY_URL`, and freeze it by `TEST_JAEGER_PID`.
 */
export async function startJaeger(): Promise<StartedServer> {
  const program = findProgram('jaeger', { override: 'JAEGER', directories: [integrationCache()] });
  if (program === null) throw new NotInstalledError(`no jaeger on the PATH or in ${integrationCache()}`);
  const service = startChildService({
    name: 'Jaeger',
    command: program,
    args: [],
    cwd: join(integrationCache()),
  });
  await untilReady(
    service,
    async () => {
      const response = await fetch(`${QUERY_URL}/api/services`, { signal: AbortSignal.timeout(5_000) });
      await response.body?.cancel();
      return response.ok ? true : undefined;
    },
    60_000,
  );
  return {
    name: 'Jaeger',
    env: {
      TEST_JAEGER_OTLP_URL: OTLP_URL,
      TEST_JAEGER_QUERY_URL: QUERY_URL,
      TEST_JAEGER_PID: String(service.pid),
    },
    pid: service.pid,
    stop: () => service.kill(),
  };
}
