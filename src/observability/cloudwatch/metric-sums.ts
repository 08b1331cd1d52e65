import type { MetricDatum } from '@aws-sdk/client-cloudwatch';
import type { MetricUnit } from '#observability/request-figures.ts';

/**
 * Limits of one `PutMetricData`, and of one metric in it:
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html and API_MetricDatum.html.
 */
export const MAX_METRICS_PER_CALL = 1_000;
export const MAX_VALUES_PER_METRIC = 150;
/** 1 MB is the limit, before compression; headers and names of fields have the rest. */
export const MAX_BYTES_PER_CALL = 900_000;
/** CloudWatch refuses others. */
const MAX_VALUE = 2 ** 360;

/** Metrics that are kept until they are sent; what would be one more is counted as dropped. */
export const MAX_METRICS_KEPT = 20_000;

type Sums = {
  name: string;
  unit: MetricUnit;
  dimensions: readonly (readonly [string, string])[];
  /** Value → how often. */
  counts: Map<number, number>;
};

/**
 * What was measured since it was sent last: each metric's values, and how often each came. Values have three significant
 * digits, so that percentiles are right to half a percent, and most values come more than once.
 */
export class MetricSums {
  #sums = new Map<string, Sums>();
  #dropped = 0;

  get size(): number {
    return this.#sums.size;
  }

  add(
    name: string,
    unit: MetricUnit,
    dimensions: readonly (readonly [string, string])[],
    value: number,
  ): void {
    if (!Number.isFinite(value) || Math.abs(value) > MAX_VALUE) {
      this.#dropped += 1;
      return;
    }
    const key = JSON.stringify([name, dimensions]);
    let sums = this.#sums.get(key);
    if (sums === undefined) {
      if (this.#sums.size >= MAX_METRICS_KEPT) {
        this.#dropped += 1;
        return;
      }
      sums = { name, unit, dimensions, counts: new Map() };
      this.#sums.set(key, sums);
    }
    const rounded = Number(value.toPrecision(3));
    sums.counts.set(rounded, (sums.counts.get(rounded) ?? 0) + 1);
  }

  /** Takes all out, as of that time; and how many values found no room. */
  take(at: Date): { data: MetricDatum[]; dropped: number } {
    const data = [...this.#sums.values()].flatMap((sums) => dataOf(sums, at));
    const dropped = this.#dropped;
    this.#sums = new Map();
    this.#dropped = 0;
    return { data, dropped };
  }
}

function dataOf({ name, unit, dimensions, counts }: Sums, at: Date): MetricDatum[] {
  const entries = [...counts];
  const data: MetricDatum[] = [];
  for (let from = 0; from < entries.length; from += MAX_VALUES_PER_METRIC) {
    const some = entries.slice(from, from + MAX_VALUES_PER_METRIC);
    data.push({
      MetricName: name,
      Unit: unit,
      Dimensions: dimensions.map(([Name, Value]) => ({ Name, Value })),
      Timestamp: at,
      Values: some.map(([value]) => value),
      Counts: some.map(([, count]) => count),
    });
  }
  return data;
}

/** As many in one call as it may carry. */
export function* callsOf(data: readonly MetricDatum[]): Generator<MetricDatum[]> {
  let call: MetricDatum[] = [];
  let bytes = 0;
  for (const datum of data) {
    const size = Buffer.byteLength(JSON.stringify(datum));
    if (call.length === MAX_METRICS_PER_CALL || (call.length > 0 && bytes + size > MAX_BYTES_PER_CALL)) {
      yield call;
      call = [];
      bytes = 0;
    }
    call.push(datum);
    bytes += size;
  }
  if (call.length > 0) yield call;
}
