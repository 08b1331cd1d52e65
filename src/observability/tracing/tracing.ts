import type { TimelineEntry, Tracing } from '#app/trace.ts';
import { newTraceId } from '#observability/tracing/random-ids.ts';
import { RecordedTrace } from '#observability/tracing/recorded-trace.ts';
import {
  atMostPerSecond,
  isWithinRatio,
  MAX_KEPT_PER_SECOND,
  MAX_REQUESTED_PER_SECOND,
} from '#observability/tracing/sampler.ts';
import { readTraceContext } from '#observability/tracing/trace-context.ts';

/** Tracing with the sampling that the settings ask for; `exportTrace` must not block. */
export function createTracing(options: {
  /** Share of traces that are recorded where no caller has decided, from 0 to 1. */
  ratio: number;
  /** Whether a caller's decision counts. */
  isParentBased: boolean;
  exportTrace: (trace: RecordedTrace) => void;
  close: () => Promise<void>;
  /** Monotonic milliseconds. */
  now: () => number;
}): Tracing {
  const { ratio, isParentBased, exportTrace, close, now } = options;
  const mayBeRequested = atMostPerSecond(MAX_REQUESTED_PER_SECOND, now);
  const mayBeKept = atMostPerSecond(MAX_KEPT_PER_SECOND, now);

  function decide(traceId: string, wanted: boolean | null, from: 'client' | 'service'): boolean {
    if (isParentBased && wanted !== null) {
      if (from === 'service' || !wanted) return wanted;
      if (mayBeRequested()) return true;
    }
    return isWithinRatio(traceId, ratio);
  }

  return {
    begin({ name, kind, headers, from }) {
      const context = readTraceContext(headers);
      const traceId = context?.traceId ?? newTraceId();
      const trace = new RecordedTrace({
        traceId,
        parentSpanId: context?.parentSpanId ?? null,
        isSampled: decide(traceId, context?.isSampled ?? null, from),
        traceState: context?.traceState ?? null,
        name,
        kind,
        now,
      });
      return {
        trace,
        root: trace.root,
        end(keep) {
          trace.root.end();
          if (trace.isSampled || (keep && mayBeKept())) exportTrace(trace);
        },
        timeline: () => timelineOf(trace, now()),
      };
    },
    close,
  };
}

/** Spans in the order in which they began, without the first. */
function timelineOf({ root, spans }: RecordedTrace, now: number): TimelineEntry[] {
  const rounded = (milliseconds: number) => Math.round(milliseconds * 10) / 10;
  return spans.slice(1).map(({ name, startedAt, endedAt, errorType }) => ({
    name,
    start_ms: rounded(startedAt - root.startedAt),
    duration_ms: rounded((endedAt ?? now) - startedAt),
    ...(errorType === undefined ? {} : { error: errorType }),
  }));
}
