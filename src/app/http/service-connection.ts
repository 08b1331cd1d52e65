import type { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import type { z } from 'zod';
import { createDeadline } from '#app/deadline.ts';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { ERROR_ORIGIN_HEADER, readInnerError } from '#app/errors/inner-error.ts';
import { createConnectionLanes, type Lane } from '#app/http/connection-lanes.ts';
import type { InternalAudience, InternalTokenSource } from '#app/http/internal-token.ts';
import { createRestartWait } from '#app/http/wait-for-restart.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import { errorTypeOf } from '#app/trace.ts';

/**
 * A call between two services that failed for no fault of the client: the token was refused, a path or a body was not
 * understood, or something between the two answered.
 */
export type CallFault = Readonly<{
  /** The service that was called. */
  callee: string;
  method: string;
  path: string;
  /** The status of the answer, and the code and message in it where it had any. */
  status: number;
  code: string | null;
  answer: string | null;
  request_id: string | null;
  /** What to look at. */
  check: string;
}>;

export type ServiceConnectionOptions = Readonly<{
  /** The service's name in error messages. */
  service: string;
  audience: InternalAudience;
  /** Where it listens. */
  baseUrl: string;
  /** Minted by the router, forwarded by the orchestrator. */
  tokens: InternalTokenSource;
  connectTimeoutMs?: number;
  /** Longest for an answer that is not streamed, milliseconds. */
  requestTimeoutMs?: number;
  /** Longest absence of the service that calls wait out, milliseconds. */
  restartWaitMs?: number;
  /** Longest silence of a stream, milliseconds. */
  idleTimeoutMs?: number;
  /** Calls at once, of all tenants together: those that stream, and all others. */
  longCalls?: number;
  shortCalls?: number;
  /** Called for each fault, before the call rejects with `service_unavailable`. */
  onFault?(fault: CallFault): void;
}>;

export type ServiceCall = {
  method: 'GET' | 'POST' | 'DELETE';
  path: string;
  /** A function's headers are made when the request is sent: tokens in them must be fresh. */
  headers?: Readonly<Record<string, string>> | (() => Promise<Readonly<Record<string, string>>>);
  body?: string | Readable;
  /** Default: `short`. Without a context every call is a probe. */
  lane?: Exclude<Lane, 'probe'>;
};

/** An error's body is a few hundred bytes. */
const MAX_ERROR_BYTES = 65_536;
const DEFAULT_LONG_CALLS = 256;
const DEFAULT_SHORT_CALLS = 128;

const CHECK_TOKEN =
  'the clocks of both machines (they may differ by 60 s) and that INTERNAL_TOKEN_PUBLIC_KEY of the service belongs to ' +
  'INTERNAL_TOKEN_PRIVATE_KEY of the router';
const CHECK_CALL =
  'that both services have the same or adjacent versions, and that nothing between them (a proxy, a mesh) answers in their place';

/**
 * Pooled connections to a sibling service. Errors that its domain raised about the client's request come out as they were
 * thrown; those about the call itself as `service_unavailable`, and `onFault` learns of them.
 */
export function createServiceConnection(options: ServiceConnectionOptions) {
  const { service, audience, tokens } = options;
  const { connectTimeoutMs = 2_000, requestTimeoutMs = 30_000, idleTimeoutMs = 60_000 } = options;
  const base = new URL(options.baseUrl);
  const prefix = base.pathname.replace(/\/$/, '');
  const waitForRestart = createRestartWait(
    options.restartWaitMs === undefined ? {} : { maxMs: options.restartWaitMs },
  );
  const peer = {
    'server.address': base.hostname,
    ...(base.port === '' ? {} : { 'server.port': Number(base.port) }),
  };
  const lanes = createConnectionLanes({
    origin: base.origin,
    service,
    longCalls: options.longCalls ?? DEFAULT_LONG_CALLS,
    shortCalls: options.shortCalls ?? DEFAULT_SHORT_CALLS,
    pool: {
      connect: { timeout: connectTimeoutMs },
      headersTimeout: idleTimeoutMs,
      bodyTimeout: idleTimeoutMs,
    },
  });

  /**
   * The answer as it streams in; a status from 400 throws. Its body must be read to its end or destroyed: it keeps its place
   * until then. `context` null: a readiness check, whose token speaks for no tenant.
   */
  async function send(
    context: TenantContext | null,
    call: ServiceCall,
    signal: AbortSignal,
  ): Promise<Dispatcher.ResponseData> {
    const { method, path, headers = {}, body, lane = 'short' } = call;
    const span = context?.trace.begin(method, {
      kind: 'client',
      attributes: { 'http.request.method': method, ...peer },
    });
    // Called once the call has its place: the wait for one may outlast a token.
    const makeRequest = async () => {
      const token =
        context === null ? await tokens.probeTokenFor?.(audience) : await tokens.tokenFor(context, audience);
      const own = typeof headers === 'function' ? await headers() : headers;
      return {
        method,
        path: prefix + path,
        headers: {
          ...own,
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(span === undefined ? {} : context?.trace.headers(span)),
        },
        ...(body === undefined ? {} : { body }),
        signal,
      };
    };
    const who = context === null ? null : { lane, context };
    const attempt = () => lanes.request(who, signal, makeRequest);
    // A stream can be sent once only, and a probe is to see what is there.
    const isRepeatable = who !== null && (body === undefined || typeof body === 'string');
    try {
      const response = await (isRepeatable ? waitForRestart(attempt, signal) : attempt());
      span?.set({ 'http.response.status_code': response.statusCode });
      if (response.statusCode >= 400) throw await errorOf(response, context, call);
      // The call lasts as long as its answer.
      if (response.body.closed) span?.end();
      else response.body.once('close', () => span?.end());
      return response;
    } catch (error) {
      span?.fail(errorTypeOf(error));
      span?.end();
      throw error;
    }
  }

  async function errorOf(
    { statusCode, headers, body }: Dispatcher.ResponseData,
    context: TenantContext | null,
    { method, path }: ServiceCall,
  ): Promise<BulkheadError> {
    const inner = readInnerError(await readErrorBody(body), headers[ERROR_ORIGIN_HEADER]);
    if (inner.kind === 'error') return inner.error;
    if (statusCode >= 500) {
      // It drains, or a proxy does not reach it: nothing of ours is wrong.
      return new BulkheadError('service_unavailable', `The ${service} cannot be reached.`, {
        cause: new Error(`The ${service} answered ${method} ${path} with ${statusCode}.`),
      });
    }
    const isToken = statusCode === 401 || statusCode === 403;
    const check = isToken ? CHECK_TOKEN : CHECK_CALL;
    options.onFault?.({
      callee: service,
      method,
      path: path.split('?', 1)[0] ?? path,
      status: statusCode,
      code: inner.code,
      answer: inner.message,
      request_id: context?.requestId ?? null,
      check,
    });
    return new BulkheadError('service_unavailable', `The ${service} cannot be used now. Try again later.`, {
      cause: new Error(
        `The ${service} answered ${method} ${path} with ${statusCode} ${inner.code ?? ''}: check ${check}.`,
      ),
    });
  }

  /** The value that the service answers with, checked against its schema. */
  function parse<Schema extends z.ZodType>(schema: Schema, answer: unknown): z.output<Schema> {
    const parsed = schema.safeParse(answer);
    if (parsed.success) return parsed.data;
    throw new BulkheadError('service_unavailable', `The ${service} returned an invalid response.`, {
      cause: parsed.error,
    });
  }

  /** An abort stays the caller's own; whatever else the connection does means that the service is not there. */
  function translate(error: unknown, signal: AbortSignal): unknown {
    if (signal.aborted) return signal.reason;
    if (error instanceof BulkheadError) return error;
    return new BulkheadError('service_unavailable', `The ${service} cannot be reached.`, { cause: error });
  }

  return {
    send,
    parse,
    translate,
    /** A whole answer within the request's time. */
    async call<Schema extends z.ZodType>(
      context: TenantContext | null,
      what: ServiceCall,
      schema: Schema,
      signal: AbortSignal,
    ): Promise<z.output<Schema>> {
      signal.throwIfAborted();
      const deadline = createDeadline(signal);
      deadline.arm(requestTimeoutMs, () => {
        const message = `The ${service} did not answer within ${requestTimeoutMs} ms.`;
        return new BulkheadError('service_unavailable', message);
      });
      try {
        const { body } = await send(context, what, deadline.signal);
        return parse(schema, await body.json());
      } catch (error) {
        throw translate(error, signal);
      } finally {
        deadline.end();
      }
    },
    /** A call whose answer has no body, or none that matters. */
    async callWithoutAnswer(
      context: TenantContext | null,
      what: ServiceCall,
      signal: AbortSignal,
    ): Promise<void> {
      signal.throwIfAborted();
      try {
        const { body } = await send(context, what, signal);
        await body.dump();
      } catch (error) {
        throw translate(error, signal);
      }
    },
    /** Calls under way and waiting, by lane. */
    get stats() {
      return lanes.stats;
    },
    close: () => lanes.close(),
  };
}

export type ServiceConnection = ReturnType<typeof createServiceConnection>;

async function readErrorBody(body: Dispatcher.ResponseData['body']): Promise<unknown> {
  let text = '';
  try {
    for await (const chunk of body) {
      text += String(chunk);
      if (text.length > MAX_ERROR_BYTES) return undefined;
    }
    return JSON.parse(text);
  } catch {
    // Half an error, or none in JSON, from a proxy perhaps: no error of the service's.
    return undefined;
  }
}
