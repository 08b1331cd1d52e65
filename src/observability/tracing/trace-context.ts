import type { IncomingHttpHeaders } from 'node:http';

/** Where a request's trace began, as its headers say. */
export type TraceContext = Readonly<{
  /** 32 hexadecimal digits. */
  traceId: string;
  /** The caller's span, 16 hexadecimal digits; null where only a trace id was given, as a load balancer does. */
  parentSpanId: string | null;
  /** Whether the caller records the trace; null where it does not say. */
  isSampled: boolean | null;
  /** Passed on as it is. */
  traceState: string | null;
}>;

/** https://www.w3.org/TR/trace-context/#traceparent-header: later versions may have more fields behind these. */
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
/** https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader */
const AMZN_ROOT = /(?:^|;) ?Root=1-([0-9a-f]{8})-([0-9a-f]{24})(?:;|$)/i;
const AMZN_PARENT = /(?:^|;) ?Parent=([0-9a-f]{16})(?:;|$)/i;
const AMZN_SAMPLED = /(?:^|;) ?Sampled=([01])(?:;|$)/i;
/** Longer headers are no trace headers. */
const MAX_HEADER_CHARACTERS = 512;
const NO_TRACE_ID = '0'.repeat(32);
const NO_SPAN_ID = '0'.repeat(16);

/** `traceparent`, or else `X-Amzn-Trace-Id`. null where neither is there and valid: the request begins a trace. */
export function readTraceContext(headers: IncomingHttpHeaders): TraceContext | null {
  return fromTraceparent(headers) ?? fromAmazon(headers);
}

function fromTraceparent(headers: IncomingHttpHeaders): TraceContext | null {
  const value = headers.traceparent;
  if (typeof value !== 'string' || value.length > MAX_HEADER_CHARACTERS) return null;
  const match = TRACEPARENT.exec(value.trim());
  if (match === null) return null;
  const [, version = '', traceId = '', parentSpanId = '', flags = '', more] = match;
  if (version === 'ff' || (version === '00' && more !== undefined)) return null;
  if (traceId === NO_TRACE_ID || parentSpanId === NO_SPAN_ID) return null;
  const state = headers.tracestate;
  const isState = typeof state === 'string' && state !== '' && state.length <= MAX_HEADER_CHARACTERS;
  return {
    traceId,
    parentSpanId,
    isSampled: (Number.parseInt(flags, 16) & 1) === 1,
    traceState: isState ? state : null,
  };
}

function fromAmazon(headers: IncomingHttpHeaders): TraceContext | null {
  const value = headers['x-amzn-trace-id'];
  if (typeof value !== 'string' || value.length > MAX_HEADER_CHARACTERS) return null;
  const root = AMZN_ROOT.exec(value);
  if (root === null) return null;
  const sampled = AMZN_SAMPLED.exec(value)?.[1];
  return {
    traceId: `${root[1]}${root[2]}`.toLowerCase(),
    parentSpanId: AMZN_PARENT.exec(value)?.[1]?.toLowerCase() ?? null,
    isSampled: sampled === undefined ? null : sampled === '1',
    traceState: null,
  };
}

/** The `traceparent` of a call that is made within a span. */
export const traceparentOf = (traceId: string, spanId: string, isSampled: boolean): string =>
  `00-${traceId}-${spanId}-${isSampled ? '01' : '00'}`;
