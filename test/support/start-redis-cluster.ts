import { createClient } from '@redis/client';
import { freePort } from './free-port.ts';
import { eventually } from './http-client.ts';
import { startRedis } from './start-redis.ts';
import type { StartedServer } from './started-server.ts';

const SLOTS = 16_384;
const NODES = 3;
/** Nodes talk to each other on a port that is so much higher than their own. */
const BUS_OFFSET = 10_000;
const MAX_PORT = 65_535;

/** Three nodes of Redis (or Valkey) that share the slots, without replicas. `REDIS_URL` is the first one's. */
export async function startRedisCluster(): Promise<StartedServer & { urls: readonly string[] }> {
  const nodes: StartedServer[] = [];
  const stop = async () => {
    for (const node of nodes) await node.stop();
  };
  try {
    const ports: number[] = [];
    for (let index = 0; index < NODES; index++) {
      const port = await lowPort();
      ports.push(port);
      nodes.push(
        await startRedis({
          port,
          args: ['--cluster-enabled', 'yes', '--cluster-config-file', 'nodes.conf'],
        }),
      );
    }
    const urls = ports.map((port) => `redis://127.0.0.1:${port}`);
    const clients = await Promise.all(urls.map((url) => createClient({ url }).connect()));
    try {
      for (const [index, client] of clients.entries()) {
        const from = Math.floor((SLOTS * index) / NODES);
        const to = Math.floor((SLOTS * (index + 1)) / NODES) - 1;
        await client.sendCommand(['CLUSTER', 'ADDSLOTSRANGE', String(from), String(to)]);
        await client.sendCommand(['CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1)]);
      }
      const [first] = clients;
      for (const port of ports.slice(1)) {
        await first?.sendCommand(['CLUSTER', 'MEET', '127.0.0.1', String(port)]);
      }
      await eventually('the cluster knows its nodes', async () => {
        const infos = await Promise.all(clients.map((client) => client.sendCommand(['CLUSTER', 'INFO'])));
        const isWhole = infos.every(
          (info) =>
            String(info).includes('cluster_state:ok') &&
            String(info).includes(`cluster_known_nodes:${NODES}`),
        );
        return isWhole ? true : undefined;
      });
    } finally {
      for (const client of clients) client.destroy();
    }
    return { name: 'Redis cluster', env: { REDIS_URL: urls[0] ?? '' }, urls, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function lowPort(): Promise<number> {
  for (;;) {
    const port = await freePort();
    if (port + BUS_OFFSET <= MAX_PORT) return port;
  }
}
