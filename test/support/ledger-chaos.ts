import { readdir } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { type EngineScript, PIECE, type ServedTurn, startCountingEngine } from './counting-engine.ts';
import { call, textAt } from './http-client.ts';
import { type Ledger, readLedger } from './read-ledger.ts';
import { type Bulkhead, newDataDirectory, startBulkhead } from './start-bulkhead.ts';

export type ChaosOptions = Readonly<{
  requests: number;
  /** `kill -9`, this often: `calm`, when the engine is silent; `rough`, in the middle of everything. */
  kills: readonly ('calm' | 'rough')[];
  connections: number;
  env?: Readonly<Record<string, string>>;
  log?: (line: string) => void;
}>;

/** A request as its client saw it. */
type Asked = {
  tag: string;
  tenant: string;
  script: EngineScript;
  stream: boolean;
  /** Tokens that have come. */
  received: number;
  requestId: string | null;
  /** Answered to its end, with whatever status. */
  isDone: boolean;
  /** Was under way at a rough kill. */
  isCut: boolean;
};

export type ChaosResult = Ledger &
  Readonly<{ asked: readonly Asked[]; served: ReadonlyMap<string, ServedTurn>; seconds: number }>;

const TENANTS = ['acme', 'globex', 'initech', 'umbrella'] as const;
/** Streams that are open, and calls that wait, at each calm kill. */
const HELD = 24;
/** After this a router has surely written down what a client that left has used, on a busy machine too. */
const SETTLED_MS = 2_000;
/** Has a pattern, so that its answers are held back to be scanned. */
const CENSORED = 'censored';
const REFUSED = 'forbidden-word';

/** Requests of every kind from four tenants, while the platform is killed and started again on its data. */
export async function runLedgerChaos(options: ChaosOptions): Promise<ChaosResult> {
  const { log = () => {} } = options;
  const engine = await startCountingEngine();
  const dataDirectory = await newDataDirectory();
  const env = { INFERENCE_BASE_URL: engine.baseUrl, INFERENCE_MODEL: 'served', ...options.env };
  const start = () => startBulkhead({ dataDirectory, env });
  let bulkhead = await start();
  const keys = await createTenants(bulkhead);
  const asked: Asked[] = [];
  const underWay = new Set<Asked>();
  /** Whose clients left, and when: the router may be settling them still. */
  const left = new Map<Asked, number>();
  const began = performance.now();

  function newRequest(ending: EngineScript['ending'], stream: boolean, tenant?: string): Asked {
    const count = asked.length;
    const request: Asked = {
      tag: `r${count}`,
      tenant: tenant ?? TENANTS[count % TENANTS.length] ?? 'acme',
      script: { tag: `r${count}`, pieces: 1 + (count % 7), ending },
      stream,
      received: 0,
      requestId: null,
      isDone: false,
      isCut: false,
    };
    asked.push(request);
    return request;
  }

  /** Never throws: what a kill cuts off is not done. `leave`: once all that the engine sends has come. */
  async function send(
    request: Asked,
    leave = false,
    content = JSON.stringify(request.script),
  ): Promise<void> {
    const leaving = new AbortController();
    underWay.add(request);
    try {
      const response = await fetch(`${bulkhead.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${keys.get(request.tenant)}`, 'content-type': 'application/json' },
        body: JSON.stringify({
          // Every eighth through the graph.
          model: asked.length % 8 === 0 ? 'bulkhead-chat' : 'served',
          stream: request.stream,
          messages: [{ role: 'user', content }],
        }),
        signal: leaving.signal,
      });
      request.requestId = response.headers.get('x-request-id');
      let text = '';
      for await (const part of response.body ?? []) {
        text += Buffer.from(part).toString();
        request.received = text.split(PIECE).length - 1;
        if (leave && request.received === request.script.pieces) leaving.abort();
      }
      request.isDone = true;
    } catch {
      if (!leaving.signal.aborted) return;
      request.isDone = true;
      left.set(request, performance.now());
    } finally {
      underWay.delete(request);
    }
  }

  async function sendOne(): Promise<void> {
    const kind = asked.length % 20;
    if (kind === 0) return send(newRequest('hold', true), true);
    if (kind === 1) return send(newRequest('refuse', false));
    if (kind === 2) return send(newRequest('fail', true));
    if (kind === 3) return send(newRequest('fail', false));
    if (kind === 4) return send(newRequest('finish', false, CENSORED), false, REFUSED);
    return send(newRequest('finish', kind % 2 === 0));
  }

  /** Sends so many, some at a time; `stopped` ends it early. */
  async function sendMany(count: number, stopped: () => boolean = () => false): Promise<void> {
    let left = count;
    await Promise.all(
      Array.from({ length: options.connections }, async () => {
        while (left > 0 && !stopped()) {
          left -= 1;
          await sendOne();
        }
      }),
    );
  }

  async function killAndStart(): Promise<void> {
    await bulkhead.child.kill();
    bulkhead = await start();
  }

  try {
    const share = Math.ceil(options.requests / (options.kills.length + 1));
    for (const kind of options.kills) {
      if (kind === 'rough') {
        let isKilled = false;
        const target = asked.length + Math.ceil(share * (0.2 + 0.6 * Math.random()));
        const sending = sendMany(share, () => isKilled);
        while (asked.length < target) await delay(1);
        for (const request of underWay) request.isCut = true;
        // What begins from now on may be cut as well.
        const from = asked.length;
        const killedAt = performance.now();
        isKilled = true;
        const killed = bulkhead.child.kill();
        await Promise.all([killed, sending]);
        for (const request of asked.slice(from)) request.isCut = true;
        // Clients that left shortly before the kill, or between the signal and the process' end.
        for (const [request, at] of left) {
          if (at < killedAt - SETTLED_MS) continue;
          request.isCut = true;
          request.isDone = false;
        }
        bulkhead = await start();
      } else {
        const held = Array.from({ length: HELD }, (_, index) => newRequest('hold', index % 3 !== 0));
        const holding = held.map((request) => send(request));
        await sendMany(share);
        await untilQuiet(held, engine.served);
        await killAndStart();
        await Promise.all(holding);
      }
      log(`${asked.length} requests, killed ${kind} at ${Math.round((performance.now() - began) / 1_000)} s`);
    }
    await sendMany(options.requests - asked.length);
    const seconds = (performance.now() - began) / 1_000;
    const { rows, totals } = await readShippedLedger(bulkhead);
    return { asked, served: engine.served, rows, totals, seconds };
  } finally {
    await bulkhead.dispose();
    await engine.close();
  }
}

/** Until everything that the engine has sent on held turns must have been read and counted. */
async function untilQuiet(held: readonly Asked[], served: ReadonlyMap<string, ServedTurn>): Promise<void> {
  const isThere = () => {
    const tags = new Set([...served.values()].map(({ tag }) => tag));
    return held.every(
      ({ tag, stream, received, script }) => tags.has(tag) && (!stream || received === script.pieces),
    );
  };
  for (const end = Date.now() + 60_000; !isThere(); await delay(20)) {
    if (Date.now() > end) throw new Error(`Held turns do not come: ${JSON.stringify(held)}`);
  }
  // What an unstreamed turn has read shows nowhere.
  await delay(1_000);
}

async function createTenants({ url, operatorKey }: Bulkhead): Promise<Map<string, string>> {
  const keys = new Map<string, string>();
  const asOperator = async (endpoint: string, json: unknown) => {
    const answer = await call(url, endpoint, { key: operatorKey, json });
    if (answer.status >= 300) throw new Error(`${endpoint}: ${answer.status} ${answer.text}`);
    return answer.json;
  };
  for (const tenant of [...TENANTS, CENSORED]) {
    await asOperator('POST /admin/tenants', {
      tenant_id: tenant,
      display_name: tenant,
      rate_limits: { requests_per_minute: null, requests_per_hour: null },
      sensitive_patterns: tenant === CENSORED ? [{ name: 'forbidden', pattern: REFUSED }] : [],
    });
    const created = await asOperator(`POST /admin/tenants/${tenant}/keys`, { user_id: 'alice' });
    keys.set(tenant, textAt(created, 'api_key'));
  }
  return keys;
}

/** The ledger, when the logs of the killed processes are shipped. */
async function readShippedLedger(bulkhead: Bulkhead): Promise<Ledger> {
  for (const end = Date.now() + 60_000; ; await delay(100)) {
    if ((await readdir(`${bulkhead.dataDirectory}/usage-log`)).length <= 1) break;
    if (Date.now() > end) throw new Error('The logs of killed processes are not shipped.');
  }
  return readLedger(bulkhead);
}
