import { type CommandParser, createClient, createCluster, defineScript } from '@redis/client';
import { withErrorListener } from '#app/faults/with-error-listener.ts';
import type { TenantId } from '#app/ids.ts';
import { ADMIT, BUDGET, RENEW, RETELL, SETTLE } from '#router/limits/redis/limit-scripts.ts';

/** Passes keys and arguments to a script; the keys route it in a cluster. */
function parseCommand(parser: CommandParser, keys: readonly string[], args: readonly string[]): void {
  parser.push(String(keys.length));
  parser.pushKeys([...keys]);
  parser.push(...args);
}

const script = (text: string) =>
  defineScript({
    SCRIPT: text,
    IS_READ_ONLY: false,
    parseCommand,
    transformReply: (reply: unknown): number[] =>
      Array.isArray(reply) ? reply.map(Number) : [Number(reply)],
  });

const scripts = {
  admit: script(ADMIT),
  settle: script(SETTLE),
  renew: script(RENEW),
  retell: script(RETELL),
  budget: script(BUDGET),
};

export type RedisConnectionOptions = {
  url: string;
  /** The URL with the login as of now, asked for at each connection; default: `url`. */
  currentUrl?: () => string;
  /** The URL is one node of a cluster. */
  cluster: boolean;
  onError: (error: unknown) => void;
};

/** What the limiter needs of Redis or Valkey, one server or a cluster. */
export type RedisConnection = {
  /** Resolves when the first connection stands, or after `timeoutMs` without one. Never throws. */
  connected(timeoutMs: number): Promise<void>;
  admit(keys: readonly string[], args: readonly string[]): Promise<number[]>;
  settle(keys: readonly string[], args: readonly string[]): Promise<number[]>;
  renew(keys: readonly string[], args: readonly string[]): Promise<number[]>;
  retell(keys: readonly string[], args: readonly string[]): Promise<number[]>;
  budget(keys: readonly string[], args: readonly string[]): Promise<number[]>;
  /**
   * Announces this process for `ttlMs`, and says how many processes are alive, itself among them, and whether Redis did not
   * know it.
   */
  heartbeat(instanceId: string, ttlMs: number): Promise<{ alive: number; isNew: boolean }>;
  /** Deletes whatever is kept of a tenant, on every node. */
  forgetTenant(tenantId: TenantId): Promise<void>;
  close(): Promise<void>;
};

const CONNECT_TIMEOUT_MS = 2_000;
/** The breaker has one timer for all calls; the client's own default is a signal and a timer for each command. */
const NO_TIMEOUT = { timeout: 0 };
/** Keys that a server looks at in one step of a search; it answers others in between. */
const SCAN_STEP = 500;
const REPLICAS_KEY = 'bulkhead:{routers}:alive';

const socket = {
  connectTimeout: CONNECT_TIMEOUT_MS,
  noDelay: true,
  // Jitter, so that replicas do not all return to a recovering server in one moment.
  reconnectStrategy: (retries: number) =>
    Math.min(100 * 2 ** Math.min(retries, 4), 1_000) + Math.random() * 100,
};

/** The URL without its login, and the login as of the moment of each connection. */
function loginOf({ url, currentUrl = () => url }: RedisConnectionOptions) {
  const place = new URL(url);
  place.username = '';
  place.password = '';
  const credentials = async () => {
    const { username, password } = new URL(currentUrl());
    return {
      ...(username === '' ? {} : { username: decodeURIComponent(username) }),
      ...(password === '' ? {} : { password: decodeURIComponent(password) }),
    };
  };
  return {
    url: place.href,
    credentialsProvider: { type: 'async-credentials-provider' as const, credentials },
  };
}

type ClientDefaults = Pick<ReturnType<typeof loginOf>, 'credentialsProvider'> & {
  socket: typeof socket;
  disableOfflineQueue: boolean;
};

/** One server is given the scripts at once; a node of a cluster gets each at its first use. */
function createSingle(url: string, { onError }: RedisConnectionOptions, defaults: ClientDefaults) {
  const client = withErrorListener(
    createClient({ url, ...defaults, commandOptions: NO_TIMEOUT, scripts }),
    onError,
  );
  client.on('ready', () => {
    for (const text of [ADMIT, SETTLE, RENEW, RETELL, BUDGET]) client.scriptLoad(text).catch(onError);
  });
  return client;
}

/** Connects in the background: a Redis that is down at start-up is an outage like any other, not a crash. */
export function connectRedis(options: RedisConnectionOptions): RedisConnection {
  // Commands are never queued while there is no connection: they fail at once, and the breaker decides.
  const { url, credentialsProvider } = loginOf(options);
  const defaults = { socket, credentialsProvider, disableOfflineQueue: true };
  const client = options.cluster
    ? withErrorListener(
        createCluster({ rootNodes: [{ url }], defaults, commandOptions: NO_TIMEOUT, scripts }),
        options.onError,
      )
    : createSingle(url, options, defaults);
  const connecting: Promise<unknown> = client.connect().catch(options.onError);
  return {
    async connected(timeoutMs) {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, timeoutMs);
      });
      await Promise.race([connecting, late]);
      clearTimeout(timer);
    },
    admit: (keys, args) => client.admit(keys, args),
    settle: (keys, args) => client.settle(keys, args),
    renew: (keys, args) => client.renew(keys, args),
    retell: (keys, args) => client.retell(keys, args),
    budget: (keys, args) => client.budget(keys, args),
    async heartbeat(instanceId, ttlMs) {
      const now = Date.now();
      // At once: Redis may lose its data between two commands.
      const [added, , , alive] = await client
        .multi()
        .zAdd(REPLICAS_KEY, { score: now + ttlMs, value: instanceId })
        .zRemRangeByScore(REPLICAS_KEY, '-inf', now)
        // Nothing else clears away after the last router.
        .pExpire(REPLICAS_KEY, ttlMs)
        .zCard(REPLICAS_KEY)
        .exec();
      return { alive: Number(alive), isNew: Number(added) === 1 };
    },
    async forgetTenant(tenantId) {
      // An id holds no character that a pattern would take for more than itself.
      const MATCH = `bulkhead:{${tenantId}}:*`;
      const nodes = 'masters' in client ? client.masters.map((node) => client.nodeClient(node)) : [client];
      for (const node of await Promise.all(nodes)) {
        for await (const keys of node.scanIterator({ MATCH, COUNT: SCAN_STEP })) {
          if (keys.length > 0) await node.unlink(keys);
        }
      }
    },
    async close() {
      client.destroy();
      await connecting;
    },
  };
}
