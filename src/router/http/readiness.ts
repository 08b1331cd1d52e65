import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { dependencyStateSchema } from '#app/schemas/dependency-states.ts';
import type { DependencyWatch } from '#observability/watch-dependencies.ts';

export const readinessSchema = z.object({
  status: z.enum(['ready', 'not_ready']),
  checks: z
    .object({
      usage_log: z
        .enum(['ok', 'failed'])
        .describe(
          'Whether this router can record usage, so that turns may begin. The only check that decides.',
        ),
      database: dependencyStateSchema,
      orchestrator: dependencyStateSchema,
      rag: dependencyStateSchema,
      engine: dependencyStateSchema.describe('As the orchestrator sees it.'),
      limits: z
        .enum(['ok', 'degraded'])
        .describe('degraded: Redis does not answer, and this router decides by its share of the limits.'),
    })
    .nullable()
    .describe('null while the router stops.'),
});
export type Readiness = Readonly<z.infer<typeof readinessSchema>>;

export type ReadinessCheck = () => Promise<Readiness>;

/** So long the first probe waits for dependencies that were not asked yet, milliseconds. */
const FIRST_WAIT_MS = 500;

/**
 * Ready is a router that does not stop and can write its own log. What all routers share does not count: without it none
 * would be ready, and requests that do not need it would fail too. Its state is reported beside.
 */
export function createReadinessCheck(options: {
  dependencies: Pick<DependencyWatch, 'states' | 'first'>;
  /** Whether usage can be recorded, so that turns may begin. */
  isRecording: () => boolean;
  /** Whether limits are decided without the Redis that they should be shared over. */
  areLimitsDegraded: () => boolean;
  isDraining: () => boolean;
}): ReadinessCheck {
  const { dependencies, isRecording, areLimitsDegraded, isDraining } = options;
  const first = Promise.race([dependencies.first, delay(FIRST_WAIT_MS, undefined, { ref: false })]);

  return async () => {
    await first;
    if (isDraining()) return { status: 'not_ready', checks: null };
    const {
      database = 'unknown',
      orchestrator = 'unknown',
      rag = 'unknown',
      engine = 'unknown',
    } = dependencies.states();
    const isReady = isRecording();
    return {
      status: isReady ? 'ready' : 'not_ready',
      checks: {
        usage_log: isReady ? 'ok' : 'failed',
        database,
        orchestrator,
        rag,
        engine,
        limits: areLimitsDegraded() ? 'degraded' : 'ok',
      },
    };
  };
}
