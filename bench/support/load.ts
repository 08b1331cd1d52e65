import { connect, type Socket } from 'node:net';

export type LoadOptions = {
  url: string;
  headers: Readonly<Record<string, string>>;
  /** The first run of {@link COUNTER} in it is replaced by a number that no other request has. */
  body: string;
  connections: number;
  /** Milliseconds of load that are measured, after as many of warm-up as `warmUpMs`. */
  durationMs: number;
  warmUpMs: number;
};

export type LoadResult = {
  requests_per_second: number;
  p50_ms: number;
  p99_ms: number;
  requests: number;
  /** Answers other than 200, and connections that broke. */
  failures: number;
};

/** Eight places for a number, so that no answer and no verdict can be remembered from the request before. */
export const COUNTER = '########';

/**
 * Closed-loop load: each connection sends its next request when the answer to the last has come. Requests are
 * the same bytes but for a number, and answers are only framed, not parsed, so that the generator costs little.
 */
export async function load(options: LoadOptions): Promise<LoadResult> {
  const { hostname, port, pathname, host } = new URL(options.url);
  const head = Object.entries({
    host,
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(options.body)),
    ...options.headers,
  });
  const lines = head.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  const request = Buffer.from(`POST ${pathname} HTTP/1.1\r\n${lines}\r\n${options.body}`);
  const counterAt = request.indexOf(COUNTER);
  let sent = 0;
  const latencies: number[] = [];
  let failures = 0;
  let measuring = false;
  let stopped = false;

  const connection = () =>
    new Promise<void>((resolve) => {
      const own = Buffer.from(request);
      const socket: Socket = connect({ host: hostname, port: Number(port), noDelay: true });
      let sentAt = 0;
      let pending: Buffer = Buffer.alloc(0);
      const send = () => {
        if (stopped) {
          socket.destroy();
          return;
        }
        // A copy a connection: the one before was written out when its answer came.
        if (counterAt >= 0)
          own.write(String(sent++ % 1e8).padStart(COUNTER.length, '0'), counterAt, 'latin1');
        sentAt = performance.now();
        socket.write(own);
      };
      socket.on('connect', send);
      socket.on('data', (chunk: Buffer) => {
        pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
        const length = answerLength(pending);
        if (length === null || pending.length < length) return;
        if (measuring) {
          latencies.push(performance.now() - sentAt);
          if (!pending.subarray(0, 12).equals(OK)) failures += 1;
        }
        pending = pending.subarray(length);
        send();
      });
      socket.on('error', () => {
        failures += 1;
      });
      socket.on('close', () => resolve());
    });

  const connections = Array.from({ length: options.connections }, connection);
  await pause(options.warmUpMs);
  measuring = true;
  const start = performance.now();
  await pause(options.durationMs);
  measuring = false;
  const seconds = (performance.now() - start) / 1_000;
  stopped = true;
  await Promise.race([Promise.all(connections), pause(5_000)]);
  latencies.sort((a, b) => a - b);
  const at = (share: number) =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0;
  return {
    requests_per_second: Math.round(latencies.length / seconds),
    p50_ms: round(at(0.5)),
    p99_ms: round(at(0.99)),
    requests: latencies.length,
    failures,
  };
}

const OK = Buffer.from('HTTP/1.1 200');
const round = (milliseconds: number) => Math.round(milliseconds * 1_000) / 1_000;
const pause = (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds));

/** The whole length of the answer at the start of the bytes; null: not known yet. */
function answerLength(bytes: Buffer): number | null {
  const headEnd = bytes.indexOf('\r\n\r\n');
  if (headEnd < 0) return null;
  const head = bytes.subarray(0, headEnd).toString('latin1').toLowerCase();
  const declared = /\r\ncontent-length: *(\d+)/.exec(head)?.[1];
  if (declared !== undefined) return headEnd + 4 + Number(declared);
  if (!head.includes('transfer-encoding: chunked')) return headEnd + 4;
  const end = bytes.indexOf('0\r\n\r\n', headEnd + 4);
  return end < 0 ? null : end + 5;
}
