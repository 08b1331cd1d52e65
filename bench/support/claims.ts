import { cpus, loadavg, totalmem } from 'node:os';

/** The machine that a claim was measured on. The load average tells whether it was busy with something else. */
export const describeMachine = () => ({
  cpu: cpus()[0]?.model.trim() ?? 'unknown',
  cores: cpus().length,
  memory_gib: Math.round(totalmem() / 2 ** 30),
  node: process.version,
  platform: `${process.platform}-${process.arch}`,
  load_average_1m: Math.round((loadavg()[0] ?? 0) * 100) / 100,
});

/** Prints one claim as a line of JSON. The machine is described as it was when the measurement began. */
export function printClaim(claim: Readonly<Record<string, unknown>>): void {
  console.log(JSON.stringify(claim));
}

/** p50, p95, p99 and the largest of latencies in milliseconds, by nearest rank. */
export function summarise(latencies: readonly number[]) {
  const sorted = [...latencies].sort((left, right) => left - right);
  const at = (share: number) =>
    round(sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN);
  return { p50_ms: at(0.5), p95_ms: at(0.95), p99_ms: at(0.99), max_ms: at(1) };
}

export const round = (value: number) => Math.round(value * 100) / 100;
