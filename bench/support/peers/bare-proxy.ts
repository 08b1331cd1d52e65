import { fileURLToPath } from 'node:url';
import { freePort } from '#test/support/free-port.ts';
import { type OpenPeer, startListening } from './peer.ts';

const PROXY = fileURLToPath(new URL('../bare-proxy.ts', import.meta.url));

/** Fastify and undici with no policy at all: the floor of what a gateway in Node costs. */
export async function openBareProxy(upstream: string): Promise<OpenPeer> {
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  const child = await startListening(
    'bare proxy',
    { command: process.execPath, args: [PROXY, String(port), upstream] },
    origin,
  );
  return {
    contestant: { name: 'bare-proxy', url: `${origin}/v1/chat/completions`, headers: {} },
    close: () => child.stop(),
  };
}
