import { join } from 'node:path';
import { startChildService, untilReady } from './child-service.ts';
import { findProgram } from './find-program.ts';
import { freePort } from './free-port.ts';
import { integrationCache } from './integration-cache.ts';
import { NotInstalledError, type StartedServer } from './started-server.ts';

/** moto, which plays AWS in memory, on a free port of 127.0.0.1. Tests find it by `TEST_AWS_URL`. */
export async function startMoto(options: { port?: number } = {}): Promise<StartedServer> {
  const environment = join(integrationCache(), 'venv', 'bin');
  const program = findProgram('moto_server', { override: 'MOTO_SERVER', directories: [environment] });
  if (program === null) throw new NotInstalledError(`no moto_server on the PATH or in ${environment}`);
  const port = options.port ?? (await freePort());
  const service = startChildService({
    name: 'moto',
    command: program,
    args: ['-H', '127.0.0.1', '-p', String(port)],
  });
  const url = `http://127.0.0.1:${port}`;
  await untilReady(
    service,
    async () => {
      const response = await fetch(`${url}/moto-api/data.json`, { signal: AbortSignal.timeout(5_000) });
      await response.body?.cancel();
      return response.ok ? true : undefined;
    },
    60_000,
  );
  // It holds nothing that needs an orderly end.
  return { name: 'moto', env: { TEST_AWS_URL: url }, pid: service.pid, stop: () => service.kill() };
}
