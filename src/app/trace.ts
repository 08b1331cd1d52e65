import type { IncomingHttpHeaders } from 'node:http';

/** Values of a span's attributes. */
export type AttributeValue = string | number | boolean | readonly string[];
export type SpanAttributes = Readonly<Record<string, AttributeValue | undefined>>;

/** `server`: a request that came in; `client`: one that goes out; `internal`: work in this process. */
export type SpanKind = 'internal' | 'server' | 'client';

/** A timed piece of work within a trace. What is done to a span after its end is ignored. */
export interface Span {
  set(attributes: SpanAttributes): void;
  /** Something that happened at a moment within it. */
  event(name: string, attributes?: SpanAttributes): void;
  /** Marks it as failed; `errorType` is a code of the platform or the class of an error, never a message. */
  fail(errorType: string): void;
  end(): void;
}

export type SpanOptions = Readonly<{
  kind?: SpanKind;
  /** Default: the trace's first span in this process. */
  parent?: Span;
  attributes?: SpanAttributes;
}>;

/**
 * The part of a trace that one process records of one request. It goes with the TenantContext, so that whatever works for a
 * request can record a span without another parameter. Texts of tenants never become names or attributes.
 */
export interface Trace {
  /** 32 hexadecimal digits; null where tracing is off. */
  readonly traceId: string | null;
  begin(name: string, options?: SpanOptions): Span;
  /** `traceparent` and `tracestate` (W3C Trace Context) for a call that is made within the span; none where tracing is off. */
  headers(span: Span): Readonly<Record<string, string>>;
}

/** A trace under way, and its first span in this process. */
export type BegunTrace = Readonly<{
  trace: Trace;
  root: Span;
  /**
   * Ends the first span and hands the trace over to be exported, where it is sampled, or where `keep` says that it failed or
   * was refused by the platform.
   */
  end(keep: boolean): void;
  /** What was recorded until now, for the request log. */
  timeline(): TimelineEntry[];
}>;

/** A span in the request log: milliseconds after the request came in, and how long it took. */
export type TimelineEntry = Readonly<{ name: string; start_ms: number; duration_ms: number; error?: string }>;

/** What begins traces in a process. */
export type Tracing = Readonly<{
  /** `from`: `client`, whose wish to have its trace recorded is bounded; `service`, which has decided already. */
  begin(options: {
    name: string;
    kind: SpanKind;
    headers: IncomingHttpHeaders;
    from: 'client' | 'service';
  }): BegunTrace;
  /** Sends what waits, for a bounded time. Never rejects. */
  close(): Promise<void>;
}>;

const NO_SPAN: Span = Object.freeze({ set() {}, event() {}, fail() {}, end() {} });
const NO_HEADERS = Object.freeze({});

/** Records nothing: tracing is off. */
export const NO_TRACE: Trace = Object.freeze({
  traceId: null,
  begin: () => NO_SPAN,
  headers: () => NO_HEADERS,
});

/** Runs the work within a span, which fails with the code or class of what is thrown. */
export async function inSpan<Result>(
  trace: Trace,
  name: string,
  work: (span: Span) => Promise<Result>,
  options?: SpanOptions,
): Promise<Result> {
  const span = trace.begin(name, options);
  try {
    return await work(span);
  } catch (error) {
    span.fail(errorTypeOf(error));
    throw error;
  } finally {
    span.end();
  }
}

/** The stable code of an error, or its class: what `error.type` may hold. */
export function errorTypeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}
