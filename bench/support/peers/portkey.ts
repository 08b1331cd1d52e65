import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { freePort } from '#test/support/free-port.ts';
import { type Peer, startListening } from './peer.ts';

const VERSION = '1.15.2';
const CACHE = fileURLToPath(new URL('../../../.cache/bench', import.meta.url));
const ENTRY = `${CACHE}/node_modules/@portkey-ai/gateway/build/start-server.js`;

/** Portkey's gateway, an npm package that is installed into `.cache/bench` when it is not there. */
export async function openPortkey(upstream: string): Promise<Peer> {
  if (!existsSync(ENTRY)) {
    const problem = await install();
    if (problem !== null) return { name: 'portkey', absent: problem };
  }
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  const child = await startListening(
    'portkey',
    { command: process.execPath, args: [ENTRY, `--port=${port}`, '--headless'] },
    origin,
  );
  return {
    contestant: {
      name: 'portkey',
      version: VERSION,
      url: `${origin}/v1/chat/completions`,
      headers: {
        'x-portkey-provider': 'openai',
        'x-portkey-custom-host': `${upstream}/v1`,
        authorization: 'Bearer none',
      },
    },
    close: () => child.stop(),
  };
}

/** Why it cannot be installed, or null. */
async function install(): Promise<string | null> {
  await mkdir(CACHE, { recursive: true });
  const args = ['install', '--no-save', '--no-fund', '--no-audit', '--prefix', CACHE];
  try {
    await promisify(execFile)('npm', [...args, `@portkey-ai/gateway@${VERSION}`]);
    return null;
  } catch (error) {
    return `npm cannot install it: ${error instanceof Error ? error.message : error}`;
  }
}
