import {
  type Attributes,
  type HrTime,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
} from '@opentelemetry/api';
import type { Resource } from '@opentelemetry/resources';
import type { ReadableSpan } from '@opentelemetry/sdk-trace';
import type { SpanAttributes } from '#app/trace.ts';
import type { RecordedSpan, RecordedTrace } from '#observability/tracing/recorded-trace.ts';

const KINDS = { internal: SpanKind.INTERNAL, server: SpanKind.SERVER, client: SpanKind.CLIENT } as const;
const SCOPE = { name: 'bulkhead' };

/** A recorded trace in the form that OpenTelemetry's exporters take. A span that has not ended ends with the first one. */
export function toReadableSpans(trace: RecordedTrace, resource: Resource): ReadableSpan[] {
  return trace.spans.map((span) => readable(trace, span, resource));
}

function readable(trace: RecordedTrace, span: RecordedSpan, resource: Resource): ReadableSpan {
  const { traceId, root } = trace;
  const endedAt = span.endedAt ?? root.endedAt ?? span.startedAt;
  const parentId = span.parent === null ? trace.parentSpanId : span.parent.id;
  const context = contextOf(traceId, span.id);
  const attributes = attributesOf(span.attributes);
  if (span.errorType !== undefined) attributes['error.type'] = span.errorType;
  return {
    name: span.name,
    kind: KINDS[span.kind],
    spanContext: () => context,
    ...(parentId === null
      ? {}
      : { parentSpanContext: { ...contextOf(traceId, parentId), isRemote: span.parent === null } }),
    startTime: toHrTime(performance.timeOrigin + span.startedAt),
    endTime: toHrTime(performance.timeOrigin + endedAt),
    duration: toHrTime(endedAt - span.startedAt),
    status: { code: span.errorType === undefined ? SpanStatusCode.UNSET : SpanStatusCode.ERROR },
    attributes,
    links: [],
    events: span.events.map(({ name, at, attributes: details }) => ({
      name,
      time: toHrTime(performance.timeOrigin + at),
      attributes: attributesOf(details),
      droppedAttributesCount: 0,
    })),
    ended: true,
    resource,
    instrumentationScope: SCOPE,
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  };
}

const contextOf = (traceId: string, spanId: string): SpanContext => ({
  traceId,
  spanId,
  traceFlags: TraceFlags.SAMPLED,
});

function attributesOf(attributes: SpanAttributes): Attributes {
  const found: Attributes = {};
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) found[name] = typeof value === 'object' ? [...value] : value;
  }
  return found;
}

/** Milliseconds as seconds and nanoseconds. */
function toHrTime(milliseconds: number): HrTime {
  const seconds = Math.floor(milliseconds / 1_000);
  return [seconds, Math.round((milliseconds - seconds * 1_000) * 1_000_000)];
}
