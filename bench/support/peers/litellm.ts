import { randomBytes } from 'node:crypto';
import { globSync, realpathSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { findProgram } from '#test/support/find-program.ts';
import { freePort } from '#test/support/free-port.ts';
import { cleanEnvironment } from '#test/support/start-bulkhead.ts';
import { MODEL, type Peer, startListening } from './peer.ts';

/** Releases that carried a backdoor. It ran at the start of any Python of their environment, so none may be started. */
export const BACKDOORED = ['1.82.7', '1.82.8', '1.107.0'];

/** LiteLLM's proxy (Python), one worker, from the virtual environment `LITELLM_VENV` or from the PATH. */
export async function openLitellm(upstream: string): Promise<Peer> {
  const absent = (why: string): Peer => ({ name: 'litellm', absent: why });
  const environment = process.env.LITELLM_VENV;
  const program = findProgram(
    'litellm',
    environment === undefined || environment === ''
      ? { override: 'LITELLM' }
      : { override: 'LITELLM', path: false, directories: [join(environment, 'bin')] },
  );
  if (program === null)
    return absent('no litellm on the PATH, and LITELLM_VENV names no environment with it');
  const version = litellmVersionOf(program);
  if (version === null) return absent('its version cannot be told, so it is not started');
  if (BACKDOORED.includes(version))
    return absent(`${version} carries a backdoor: remove it from this machine`);

  const directory = await mkdtemp(join(tmpdir(), 'bulkhead-litellm-'));
  const remove = () => rm(directory, { recursive: true, force: true });
  try {
    const file = join(directory, 'config.yaml');
    // JSON is YAML.
    await writeFile(file, JSON.stringify(configOf(upstream)));
    const port = await freePort();
    const origin = `http://127.0.0.1:${port}`;
    // It starts with no key of its own only when told that this is dangerous.
    const key = `sk-${randomBytes(32).toString('hex')}`;
    const child = await startListening(
      'litellm',
      {
        command: program,
        args: ['--config', file, '--host', '127.0.0.1', '--port', String(port), '--num_workers', '1'],
        cwd: directory,
        // Its own price list, so that it fetches none.
        env: cleanEnvironment({
          LITELLM_MASTER_KEY: key,
          LITELLM_LOCAL_MODEL_COST_MAP: 'True',
          LITELLM_LOG: 'ERROR',
        }),
      },
      `${origin}/health/liveliness`,
      180_000,
    );
    return {
      contestant: {
        name: 'litellm',
        version,
        url: `${origin}/v1/chat/completions`,
        headers: { authorization: `Bearer ${key}` },
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

/** Told by the package's directory beside the program, without starting its Python; null where there is none. */
export function litellmVersionOf(program: string): string | null {
  const prefix = dirname(dirname(realpathSync(program)));
  const found = globSync('{lib,lib64}/python*/{site,dist}-packages/litellm-*.dist-info', { cwd: prefix });
  const versions = new Set(found.map((path) => /^litellm-(.+)\.dist-info$/.exec(basename(path))?.[1]));
  // Two at once are a broken installation: which of them would run is not known.
  return versions.size === 1 ? ([...versions][0] ?? null) : null;
}

const configOf = (upstream: string) => ({
  model_list: [
    {
      model_name: MODEL,
      litellm_params: { model: `openai/${MODEL}`, api_base: `${upstream}/v1`, api_key: 'none' },
    },
  ],
  litellm_settings: { num_retries: 0 },
});
