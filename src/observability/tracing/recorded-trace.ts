import type { AttributeValue, Span, SpanAttributes, SpanKind, SpanOptions, Trace } from '#app/trace.ts';
import { newSpanId } from '#observability/tracing/random-ids.ts';
import { traceparentOf } from '#observability/tracing/trace-context.ts';

/** Spans that a process records of one request, at most: the rest is counted, not kept. */
const MAX_SPANS = 256;
/** Of one span. */
const MAX_EVENTS = 32;

export type SpanEvent = Readonly<{ name: string; at: number; attributes: SpanAttributes }>;

/** A span as it is recorded: times are monotonic milliseconds, and its id is made when it is needed. */
export class RecordedSpan implements Span {
  readonly name: string;
  readonly kind: SpanKind;
  readonly parent: RecordedSpan | null;
  readonly startedAt: number;
  readonly attributes: Record<string, AttributeValue> = {};
  readonly events: SpanEvent[] = [];
  endedAt: number | undefined;
  errorType: string | undefined;
  readonly #now: () => number;
  #id: string | undefined;

  constructor(options: { name: string; kind: SpanKind; parent: RecordedSpan | null; now: () => number }) {
    this.name = options.name;
    this.kind = options.kind;
    this.parent = options.parent;
    this.#now = options.now;
    this.startedAt = options.now();
  }

  get id(): string {
    this.#id ??= newSpanId();
    return this.#id;
  }

  set(attributes: SpanAttributes): void {
    if (this.endedAt !== undefined) return;
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== undefined) this.attributes[name] = value;
    }
  }

  event(name: string, attributes: SpanAttributes = {}): void {
    if (this.endedAt !== undefined || this.events.length >= MAX_EVENTS) return;
    this.events.push({ name, at: this.#now(), attributes });
  }

  fail(errorType: string): void {
    if (this.endedAt === undefined) this.errorType = errorType;
  }

  end(): void {
    this.endedAt ??= this.#now();
  }
}

/** What one process records of a request. */
export class RecordedTrace implements Trace {
  readonly traceId: string;
  readonly parentSpanId: string | null;
  readonly isSampled: boolean;
  readonly traceState: string | null;
  readonly root: RecordedSpan;
  readonly spans: RecordedSpan[];
  dropped = 0;
  readonly #now: () => number;

  constructor(options: {
    traceId: string;
    parentSpanId: string | null;
    isSampled: boolean;
    traceState: string | null;
    name: string;
    kind: SpanKind;
    /** Monotonic milliseconds. */
    now: () => number;
  }) {
    const { name, kind, now } = options;
    this.traceId = options.traceId;
    this.parentSpanId = options.parentSpanId;
    this.isSampled = options.isSampled;
    this.traceState = options.traceState;
    this.#now = now;
    this.root = new RecordedSpan({ name, kind, parent: null, now });
    this.spans = [this.root];
  }

  begin(name: string, { kind = 'internal', parent, attributes }: SpanOptions = {}): Span {
    const inside = parent instanceof RecordedSpan ? parent : this.root;
    const span = new RecordedSpan({ name, kind, parent: inside, now: this.#now });
    if (attributes !== undefined) span.set(attributes);
    if (this.spans.length < MAX_SPANS) this.spans.push(span);
    else this.dropped += 1;
    return span;
  }

  headers(span: Span): Readonly<Record<string, string>> {
    const { id } = span instanceof RecordedSpan ? span : this.root;
    return {
      traceparent: traceparentOf(this.traceId, id, this.isSampled),
      ...(this.traceState === null ? {} : { tracestate: this.traceState }),
    };
  }
}
