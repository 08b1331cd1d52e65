import { describe, expect, it } from 'vitest';
import type { RecordedTrace } from '#observability/tracing/recorded-trace.ts';
import {
  isWithinRatio,
  MAX_KEPT_PER_SECOND,
  MAX_REQUESTED_PER_SECOND,
} from '#observability/tracing/sampler.ts';
import { readTraceContext } from '#observability/tracing/trace-context.ts';
import { createTracing } from '#observability/tracing/tracing.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';

describe('readTraceContext', () => {
  it.each([
    [`00-${TRACE}-${SPAN}-01`, { traceId: TRACE, parentSpanId: SPAN, isSampled: true }],
    [`00-${TRACE}-${SPAN}-00`, { traceId: TRACE, parentSpanId: SPAN, isSampled: false }],
    [`00-${TRACE}-${SPAN}-03`, { traceId: TRACE, isSampled: true }],
    [`cc-${TRACE}-${SPAN}-01-what-a-later-version-adds`, { traceId: TRACE, isSampled: true }],
  ])('takes %s', (traceparent, expected) => {
    expect(readTraceContext({ traceparent })).toMatchObject(expected);
  });

  it.each([
    `ff-${TRACE}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-01-more`,
    `00-${'0'.repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}`,
    '',
    'x'.repeat(10_000),
  ])('begins a trace for %s', (traceparent) => {
    expect(readTraceContext({ traceparent })).toBeNull();
  });

  it('takes the trace id of a load balancer, which has no span and does not say whether it records', () => {
    const root = 'Root=1-5759e988-bd862e3fe1be46a994272793';
    const traceId = '5759e988bd862e3fe1be46a994272793';
    expect(readTraceContext({ 'x-amzn-trace-id': root })).toEqual({
      traceId,
      parentSpanId: null,
      isSampled: null,
      traceState: null,
    });
    expect(
      readTraceContext({ 'x-amzn-trace-id': `Self=1-2-3;${root};Parent=53995c3f42cd8ad8;Sampled=1` }),
    ).toEqual({
      traceId,
      parentSpanId: '53995c3f42cd8ad8',
      isSampled: true,
      traceState: null,
    });
    expect(readTraceContext({ 'x-amzn-trace-id': 'Root=1-x-y' })).toBeNull();
  });

  it('passes tracestate on, within bounds, and only with a traceparent', () => {
    const traceparent = `00-${TRACE}-${SPAN}-01`;
    expect(readTraceContext({ traceparent, tracestate: 'a=1,b=2' })?.traceState).toBe('a=1,b=2');
    expect(readTraceContext({ traceparent, tracestate: 'x'.repeat(600) })?.traceState).toBeNull();
    expect(readTraceContext({ tracestate: 'a=1' })).toBeNull();
  });
});

describe('sampling', () => {
  function tracingWith(options: { ratio: number; isParentBased?: boolean }) {
    const exported: RecordedTrace[] = [];
    let at = 0;
    const tracing = createTracing({
      isParentBased: true,
      ...options,
      exportTrace: (trace) => exported.push(trace),
      close: async () => {},
      now: () => at,
    });
    const begin = (flags: string | null, from: 'client' | 'service' = 'client') =>
      tracing.begin({
        name: 'GET /x',
        kind: 'server',
        headers: flags === null ? {} : { traceparent: `00-${TRACE}-${SPAN}-${flags}` },
        from,
      });
    return { exported, begin, tick: (ms: number) => (at += ms) };
  }

  it('decides by the trace id alone: every service the same, and about as many as the ratio', () => {
    const ids = Array.from({ length: 2_000 }, (_, i) =>
      (i * 2_654_435_761).toString(16).padStart(14, '0').slice(-14),
    );
    const scattered = ids.map((id) => `${'a'.repeat(18)}${[...id].reverse().join('')}`);
    const chosen = scattered.filter((id) => isWithinRatio(id, 0.25)).length;
    expect(chosen).toBeGreaterThan(350);
    expect(chosen).toBeLessThan(650);
    expect(scattered.every((id) => isWithinRatio(id, 1))).toBe(true);
    expect(scattered.some((id) => isWithinRatio(id, 0))).toBe(false);
  });

  it('follows another service, and of clients that want to be recorded only so many a second', () => {
    const { exported, begin, tick } = tracingWith({ ratio: 0 });
    for (let i = 0; i < 100; i++) begin('01', 'service').end(false);
    expect(exported).toHaveLength(100);
    for (let i = 0; i < 100; i++) begin('01').end(false);
    expect(exported).toHaveLength(100 + MAX_REQUESTED_PER_SECOND);
    tick(1_000);
    begin('01').end(false);
    begin('00').end(false);
    begin(null).end(false);
    expect(exported).toHaveLength(101 + MAX_REQUESTED_PER_SECOND);
  });

  it('keeps what failed or was refused, within bounds', () => {
    const { exported, begin } = tracingWith({ ratio: 0 });
    for (let i = 0; i < 100; i++) begin(null).end(true);
    expect(exported).toHaveLength(MAX_KEPT_PER_SECOND);
  });

  it('listens to no caller where it is not parent-based', () => {
    const { exported, begin } = tracingWith({ ratio: 1, isParentBased: false });
    begin('00').end(false);
    expect(exported).toHaveLength(1);
  });

  it('records parents, times, events and failures, and no more spans than it may', () => {
    const { exported, begin, tick } = tracingWith({ ratio: 1 });
    const begun = begin('01');
    tick(5);
    const outer = begun.trace.begin('outer', { attributes: { a: 1, none: undefined } });
    tick(10);
    const inner = begun.trace.begin('inner', { parent: outer });
    inner.event('first');
    inner.fail('engine_error');
    tick(20);
    inner.end();
    outer.end();
    outer.set({ late: true });
    for (let i = 0; i < 1_000; i++) begun.trace.begin('many').end();
    expect(begun.trace.headers(inner).traceparent).toMatch(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-01$`));
    begun.end(false);
    expect(begun.timeline().slice(0, 2)).toEqual([
      { name: 'outer', start_ms: 5, duration_ms: 30 },
      { name: 'inner', start_ms: 15, duration_ms: 20, error: 'engine_error' },
    ]);
    const [trace] = exported;
    expect(trace?.parentSpanId).toBe(SPAN);
    expect(trace?.spans).toHaveLength(256);
    expect(trace?.spans[1]?.attributes).toEqual({ a: 1 });
    expect(trace?.spans[2]?.parent).toBe(trace?.spans[1]);
    expect(new Set(trace?.spans.map(({ id }) => id)).size).toBe(256);
  });
});
