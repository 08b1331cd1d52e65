import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findProgram } from '#test/support/find-program.ts';
import { freePort } from '#test/support/free-port.ts';
import { cleanEnvironment } from '#test/support/start-bulkhead.ts';
import { MODEL, type Peer, startListening } from './peer.ts';

/** Bifrost's HTTP gateway (Go), configured by a file alone: no store, no log of requests. */
export async function openBifrost(upstream: string): Promise<Peer> {
  const program = findProgram('bifrost-http', { override: 'BIFROST_HTTP' });
  if (program === null) {
    return { name: 'bifrost', absent: 'no bifrost-http on the PATH, and BIFROST_HTTP names none' };
  }
  const directory = await mkdtemp(join(tmpdir(), 'bulkhead-bifrost-'));
  const remove = () => rm(directory, { recursive: true, force: true });
  try {
    await writeFile(join(directory, 'config.json'), JSON.stringify(configOf(upstream)));
    const port = await freePort();
    const origin = `http://127.0.0.1:${port}`;
    const child = await startListening(
      'bifrost',
      {
        command: program,
        args: ['-app-dir', directory, '-host', '127.0.0.1', '-port', String(port), '-log-level', 'error'],
        env: cleanEnvironment({ BENCH_KEY: 'none' }),
      },
      origin,
      60_000,
    );
    return {
      contestant: {
        name: 'bifrost',
        url: `${origin}/v1/chat/completions`,
        headers: {},
        model: `openai/${MODEL}`,
      },
      close: async () => {
        await child.stop();
        await remove();
      },
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

const configOf = (upstream: string) => ({
  client: { drop_excess_requests: false, enable_logging: false },
  config_store: { enabled: false },
  logs_store: { enabled: false },
  providers: {
    openai: {
      keys: [{ name: 'bench', value: 'env.BENCH_KEY', models: ['*'], weight: 1 }],
      network_config: { base_url: upstream, max_retries: 0 },
    },
  },
});
