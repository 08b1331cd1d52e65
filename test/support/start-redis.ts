import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startChildService, untilReady } from './child-service.ts';
import { findProgram } from './find-program.ts';
import { freePort } from './free-port.ts';
import { NotInstalledError, type StartedServer } from './started-server.ts';

/** Redis (or Valkey) without persistence, on a free port of 127.0.0.1. Tests find it by `REDIS_URL`. */
export async function startRedis(
  options: { port?: number; args?: readonly string[] } = {},
): Promise<StartedServer> {
  const program =
    findProgram('redis-server', { override: 'REDIS_SERVER' }) ??
    findProgram('valkey-server', { override: 'REDIS_SERVER' });
  if (program === null) throw new NotInstalledError('no redis-server or valkey-server on the PATH');
  const directory = await mkdtemp(join(tmpdir(), 'bulkhead-redis-'));
  const port = options.port ?? (await freePort());
  const service = startChildService({
    name: 'Redis',
    command: program,
    args: [
      '--bind',
      '127.0.0.1',
      '--port',
      String(port),
      '--dir',
      directory,
      '--save',
      '',
      '--appendonly',
      'no',
      ...(options.args ?? []),
    ],
  });
  const stop = async () => {
    await service.stop();
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await untilReady(service, () => ping(port), 15_000);
  } catch (error) {
    await stop();
    throw error;
  }
  return { name: 'Redis', env: { REDIS_URL: `redis://127.0.0.1:${port}` }, pid: service.pid, stop };
}

function ping(port: number): Promise<true | undefined> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' }, () => socket.write('PING\r\n'));
    socket.setTimeout(1_000, () => socket.destroy(new Error('Redis does not answer.')));
    socket.once('error', reject);
    socket.once('data', (data) => {
      socket.destroy();
      resolve(data.toString('latin1').startsWith('+PONG') ? true : undefined);
    });
  });
}
