import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startChildService, untilReady } from './child-service.ts';
import { findProgram } from './find-program.ts';
import { freePort } from './free-port.ts';
import { integrationCache } from './integration-cache.ts';
import { NotInstalledError, type StartedServer } from './started-server.ts';

const SCRIPT = fileURLToPath(new URL('./llama-server.py', import.meta.url));
const MODEL = 'smollm2-135m-instruct';
/** Tokens of prompt and answer that a slot takes. */
const CONTEXT_TOKENS = 4_096;
const SLOTS = 2;

/**
 * The llama.cpp server with a small real language model, on a free port of 127.0.0.1. Tests find it by
 * `TEST_LLAMA_URL` (up to and with `/v1`), `TEST_LLAMA_MODEL` and `TEST_LLAMA_CONTEXT_TOKENS`.
 */
export async function startLlamaServer(): Promise<StartedServer> {
  const environment = join(integrationCache(), 'venv', 'bin');
  // Not from the PATH: any other Python lacks the server.
  const python = findProgram('python', {
    override: 'LLAMA_SERVER_PYTHON',
    path: false,
    directories: [environment],
  });
  if (python === null) throw new NotInstalledError(`no Python environment with the server in ${environment}`);
  const port = await freePort();
  const service = startChildService({
    name: 'llama.cpp',
    command: python,
    args: [SCRIPT, String(port), MODEL, String(CONTEXT_TOKENS), String(SLOTS)],
  });
  const url = `http://127.0.0.1:${port}`;
  await untilReady(
    service,
    async () => {
      const response = await fetch(`${url}/health`, { signal: AbortSignal.timeout(2_000) });
      await response.body?.cancel();
      return response.ok ? true : undefined;
    },
    120_000,
  );
  return {
    name: 'llama.cpp',
    env: {
      TEST_LLAMA_URL: `${url}/v1`,
      TEST_LLAMA_MODEL: MODEL,
      TEST_LLAMA_CONTEXT_TOKENS: String(CONTEXT_TOKENS),
    },
    // It holds nothing that needs an orderly end.
    stop: () => service.kill(),
  };
}
