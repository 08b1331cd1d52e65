import { setTimeout as delay } from 'node:timers/promises';
import { Agent } from 'undici';
import { type LoadKind, type LoadRequest, sendLoadRequest } from './load-request.ts';
import { createRandom } from './random.ts';

export type LoadOptions = Readonly<{
  url: string;
  /** API keys by tenant. */
  keys: ReadonlyMap<string, string>;
  seed: number;
  /** Requests a second, whether or not the earlier ones are answered. */
  perSecond: number;
  /** How often each kind is sent, relative to the others. */
  kinds: Readonly<Partial<Record<LoadKind, number>>>;
  connections: 'keep-alive' | 'fresh';
  /** Longest answer, in pieces, and longest pause before a piece, milliseconds. */
  maxPieces?: number;
  maxPauseMs?: number;
}>;

export type Load = Readonly<{
  /** All that were sent, in the order of their start. */
  requests: readonly LoadRequest[];
  /** Sends no more, and waits for what is under way. */
  stop(): Promise<readonly LoadRequest[]>;
}>;

/** Many: what waits in the client must not look like what waits in the platform. */
const CONNECTIONS = 256;
let loads = 0;

/** Requests of several tenants, in an order and of sizes that the seed decides. */
export function startLoad(options: LoadOptions): Load {
  const { url, keys, seed, perSecond, kinds, connections, maxPieces = 20, maxPauseMs = 60 } = options;
  const random = createRandom(seed);
  const dispatcher = new Agent({ connections: CONNECTIONS, pipelining: 1 });
  const requests: LoadRequest[] = [];
  const underWay = new Set<Promise<void>>();
  const tenants = [...keys];
  const ballot = Object.entries(kinds).flatMap(([kind, weight]) => Array(weight).fill(kind) as LoadKind[]);
  const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)] as Item;
  const stopping = new AbortController();
  const prefix = `l${++loads}`;

  function sendOne(): void {
    const [tenant, key] = pick(tenants);
    const kind = pick(ballot);
    const sent: LoadRequest = {
      tag: `${prefix}-${requests.length}`,
      kind,
      tenant,
      key,
      script: {
        pieces: 1 + Math.floor(random() * maxPieces),
        pauseMs: Math.round(random() * maxPauseMs),
      },
      stream: random() < 0.6 && (kind === 'chat' || kind === 'graph' || kind === 'rag'),
      startedAt: performance.now(),
      endedAt: null,
      requestId: null,
      status: null,
      code: null,
      received: 0,
      verdict: null,
      detail: '',
    };
    requests.push(sent);
    const sending = sendLoadRequest(sent, { url, dispatcher, isFresh: connections === 'fresh' });
    underWay.add(sending);
    void sending.finally(() => underWay.delete(sending));
  }

  async function run(): Promise<void> {
    const began = performance.now();
    for (let count = 0; !stopping.signal.aborted; count++) {
      const wait = began + (count * 1_000) / perSecond - performance.now();
      if (wait > 0) await delay(wait, undefined, { signal: stopping.signal }).catch(() => undefined);
      if (!stopping.signal.aborted) sendOne();
    }
  }
  const running = run();

  return {
    requests,
    async stop() {
      stopping.abort();
      await running;
      await Promise.all(underWay);
      await dispatcher.destroy();
      return requests;
    },
  };
}

/** How many requests ended how: `{ "chat complete": 12, "rag refused service_unavailable": 1 }`. */
export function summaryOf(requests: readonly LoadRequest[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { kind, verdict, code } of requests) {
    const name = [kind, verdict ?? 'under way', ...(code === null ? [] : [code])].join(' ');
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

/** Requests that did not complete, in words, the first of them. For messages of assertions. */
export const describeRequests = (requests: readonly LoadRequest[], began = 0): string[] =>
  requests
    .slice(0, 20)
    .map(
      ({ tag, kind, stream, startedAt, endedAt, status, verdict, code, detail, requestId }) =>
        `${tag} ${kind}${stream ? ' streamed' : ''} at ${Math.round(startedAt - began)}-${Math.round((endedAt ?? 0) - began)} ms: ` +
        `${verdict} ${status} ${code} ${detail} (${requestId})`,
    );
