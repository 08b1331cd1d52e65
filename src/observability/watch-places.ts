import type { FairSemaphoreStats } from '#app/fair/fair-semaphore.ts';
import type { MetricsExporter } from '#observability/metrics.ts';

/** Has the places of shared resources among the figures, by names as metrics have them. What reads as undefined has none. */
export function watchPlaces(
  metrics: MetricsExporter | undefined,
  resources: Readonly<Record<string, () => FairSemaphoreStats | undefined>>,
): void {
  for (const [resource, read] of Object.entries(resources)) {
    const first = read();
    if (first !== undefined) metrics?.watch?.(resource, () => read() ?? first);
  }
}
