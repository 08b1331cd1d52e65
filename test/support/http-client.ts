import { setTimeout as delay } from 'node:timers/promises';
import { createParser } from 'eventsource-parser';

/** A response, read to its end. */
export type Answer = Readonly<{
  status: number;
  headers: Readonly<Record<string, string>>;
  text: string;
  /** The parsed body; throws where it is no JSON. */
  json: unknown;
}>;

export type Call = {
  key?: string;
  /** Sent as JSON. */
  json?: unknown;
  /** Sent as it is. */
  body?: string | Uint8Array<ArrayBuffer> | FormData;
  headers?: Readonly<Record<string, string>>;
  signal?: AbortSignal;
};

/** Calls an endpoint: `call(platform.url, 'POST /v1/chat', { key, json })`. */
export async function call(url: string, endpoint: string, options: Call = {}): Promise<Answer> {
  const response = await request(url, endpoint, options);
  const text = await response.text();
  return {
    status: response.status,
    headers: Object.fromEntries(response.headers),
    text,
    get json(): unknown {
      return JSON.parse(text);
    },
  };
}

async function request(url: string, endpoint: string, options: Call): Promise<Response> {
  const [method, path, ...rest] = endpoint.split(' ');
  if (method === undefined || path === undefined || rest.length > 0)
    throw new Error(`No endpoint: ${endpoint}`);
  const { key, json, body, headers, signal } = options;
  return fetch(`${url}${path}`, {
    method,
    headers: {
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      ...(json === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    body: json === undefined ? (body ?? null) : JSON.stringify(json),
    signal: signal ?? AbortSignal.timeout(60_000),
  });
}

export type ServerEvent = Readonly<{ event: string; data: unknown }>;

/** Calls an endpoint that streams, and reads its events as they come. Throws where the answer is no stream. */
export async function* streamEvents(
  url: string,
  endpoint: string,
  options: Call,
): AsyncGenerator<ServerEvent> {
  const response = await request(url, endpoint, options);
  if (
    response.body === null ||
    !(response.headers.get('content-type') ?? '').startsWith('text/event-stream')
  ) {
    throw new Error(`${endpoint} gave ${response.status} and no stream: ${await response.text()}`);
  }
  const events: ServerEvent[] = [];
  const parser = createParser({
    onEvent: ({ event, data }) =>
      events.push({ event: event ?? 'message', data: data === '[DONE]' ? data : JSON.parse(data) }),
  });
  for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
    parser.feed(text);
    yield* events.splice(0);
  }
}

/** The value at a dotted path of parsed JSON, such as `data.0.document_id`; undefined where there is none. */
export function at(value: unknown, path: string): unknown {
  let current = value;
  for (const name of path.split('.')) {
    if (typeof current !== 'object' || current === null || !Object.hasOwn(current, name)) return undefined;
    current = Reflect.get(current, name);
  }
  return current;
}

/** The same, where it must be text. */
export function textAt(value: unknown, path: string): string {
  const found = at(value, path);
  if (typeof found !== 'string')
    throw new Error(`${path} is no text in ${JSON.stringify(value).slice(0, 500)}`);
  return found;
}

/** The same, where it must be a list. */
export function listAt(value: unknown, path: string): unknown[] {
  const found = at(value, path);
  if (!Array.isArray(found)) throw new Error(`${path} is no list in ${JSON.stringify(value).slice(0, 500)}`);
  return found;
}

/** Asks until `check` gives a value. */
export async function eventually<Result>(
  what: string,
  check: () => Promise<Result | undefined>,
  timeoutMs = 60_000,
): Promise<Result> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const result = await check();
    if (result !== undefined) return result;
    if (performance.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await delay(100);
  }
}
