import { setTimeout as sleep } from 'node:timers/promises';
import { EventSourceParserStream } from 'eventsource-parser/stream';
import type { z } from 'zod';
import { isAbort } from '#app/errors/bulkhead-error.ts';
import { type ApiError, apiErrorOf } from '#cli/api-error.ts';
import { CliError } from '#cli/cli-error.ts';

export type ApiRequest = {
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  json?: unknown;
  /** A body that is made anew for each try: a stream can be read once. */
  body?: () => { stream: ReadableStream<Uint8Array>; contentType: string };
  headers?: Readonly<Record<string, string>>;
  signal?: AbortSignal;
  /** How often a 429 is waited out, as long as the server says. Default: never. */
  waitOutLimits?: number;
};

export type ServerEvent = { event: string; data: unknown };

/** The HTTP API as the commands use it. Failures are CliErrors that say what to do. */
export interface ApiClient {
  readonly url: string;
  /** The answer, checked. */
  request<Schema extends z.ZodType>(
    path: string,
    schema: Schema,
    request?: ApiRequest,
  ): Promise<z.output<Schema>>;
  /** The answer's bytes, as they come. */
  download(path: string, request: ApiRequest): Promise<ReadableStream<Uint8Array>>;
  /** The answer's events, as they come. */
  stream(path: string, request: ApiRequest): AsyncIterable<ServerEvent>;
}

export function createApiClient(options: {
  url: string;
  /** null: no credential is sent. */
  key: string | null;
  fetch?: typeof fetch;
}): ApiClient {
  const { url, key, fetch: send = fetch } = options;

  async function open(path: string, request: ApiRequest): Promise<Response> {
    for (let waits = request.waitOutLimits ?? 0; ; waits--) {
      const response = await once(path, request);
      if (response.ok) return response;
      const retryAfter = Number(response.headers.get('retry-after'));
      if (response.status !== 429 || waits <= 0 || !(retryAfter > 0)) throw await toApiError(response);
      await response.body?.cancel();
      await sleep(
        retryAfter * 1000,
        undefined,
        request.signal === undefined ? {} : { signal: request.signal },
      );
    }
  }

  async function once(path: string, request: ApiRequest): Promise<Response> {
    const body = request.body?.();
    try {
      return await send(`${url}${path}`, {
        method: request.method ?? 'GET',
        headers: {
          ...(key === null ? {} : { authorization: `Bearer ${key}` }),
          ...(request.json === undefined ? {} : { 'content-type': 'application/json' }),
          ...(body === undefined ? {} : { 'content-type': body.contentType }),
          ...request.headers,
        },
        redirect: 'error',
        ...(request.json === undefined ? {} : { body: JSON.stringify(request.json) }),
        ...(body === undefined ? {} : { body: body.stream, duplex: 'half' }),
        ...(request.signal === undefined ? {} : { signal: request.signal }),
      });
    } catch (error) {
      throw unreachable(url, error);
    }
  }

  return {
    url,
    async request(path, schema, request = {}) {
      const response = await open(path, request);
      const text = await response.text().catch((error: unknown) => {
        throw unreachable(url, error);
      });
      const parsed = schema.safeParse(text === '' ? null : jsonOrNull(text));
      if (!parsed.success) throw notUnderstood(url, path, parsed.error);
      return parsed.data;
    },
    async download(path, request) {
      const { body } = await open(path, request);
      if (body === null) throw notUnderstood(url, path, null);
      return body;
    },
    async *stream(path, request) {
      const response = await open(path, {
        ...request,
        headers: { ...request.headers, accept: 'text/event-stream' },
      });
      if (response.body === null) throw notUnderstood(url, path, null);
      const events = response.body
        .pipeThrough(new TextDecoderStream())
        .pipeThrough(new EventSourceParserStream());
      try {
        for await (const { event, data } of events) {
          if (data === '[DONE]') return;
          yield { event: event ?? 'message', data: jsonOrNull(data) };
        }
      } catch (error) {
        throw unreachable(url, error);
      }
    },
  };
}

function jsonOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** An abort stays an abort: the caller asked for it. */
function unreachable(url: string, error: unknown): unknown {
  if (isAbort(error) || error instanceof CliError) return error;
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  if (code === 'ECONNREFUSED') {
    return new CliError(
      `Nothing answers at ${url}. Start Bulkhead with: npm start\nOr name the server that runs: --url or BULKHEAD_URL.`,
      { cause: error },
    );
  }
  const why = cause instanceof Error ? cause.message : String(cause);
  return new CliError(`The connection to ${url} failed: ${why}`, { cause: error });
}

const notUnderstood = (url: string, path: string, cause: unknown): CliError =>
  new CliError(`${url}${path} gave an answer that is not understood. Is it a Bulkhead of this version?`, {
    cause,
  });

async function toApiError(response: Response): Promise<ApiError> {
  const text = await response.text().catch(() => '');
  return apiErrorOf(response.status, jsonOrNull(text), response.headers.get('x-request-id'));
}
