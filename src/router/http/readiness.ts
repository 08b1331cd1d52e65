import { z } from 'zod';
import type { Database } from '#app/database/database.ts';
import type { OrchestratorService } from '#app/services/orchestrator-service.ts';
import type { RagService } from '#app/services/rag-service.ts';
import type { Logger } from '#observability/logger.ts';
import { within } from '#router/within.ts';

const checkSchema = z.enum(['ok', 'failed']);

export const readinessSchema = z.object({
  status: z.enum(['ready', 'not_ready']),
  checks: z
    .object({
      database: checkSchema,
      orchestrator: checkSchema,
      rag: checkSchema,
      usage_log: checkSchema.describe('Whether usage can be recorded, so that turns may begin.'),
      limits: z
        .enum(['ok', 'degraded'])
        .describe(
          'degraded: Redis does not answer, and this router decides by its share of the limits. It stays ready: all ' +
            'routers have the same Redis, and none would be left.',
        ),
    })
    .nullable()
    .describe('null while the service stops.'),
});
export type Readiness = Readonly<z.infer<typeof readinessSchema>>;

export type ReadinessCheck = () => Promise<Readiness>;

const TIMEOUT_MS = 2_000;
/** Probes are not authenticated: however many come, the services are asked this seldom. */
const KEPT_FOR_MS = 500;

/** Asks everything that an answer needs. Draining is not ready, whatever the others say. */
export function createReadinessCheck(options: {
  database: Database;
  orchestrator: OrchestratorService;
  rag: RagService;
  /** Whether usage can be recorded, so that turns may begin. */
  isRecording: () => boolean;
  /** Whether limits are decided without the Redis that they should be shared over. */
  areLimitsDegraded: () => boolean;
  logger: Logger;
  monotonicNow: () => number;
  isDraining: () => boolean;
}): ReadinessCheck {
  const { database, orchestrator, rag, isRecording, areLimitsDegraded, logger, monotonicNow, isDraining } =
    options;
  let last: { at: number; readiness: Promise<Readiness> } | undefined;

  async function check(name: string, work: Promise<void>): Promise<'ok' | 'failed'> {
    try {
      await within(work, TIMEOUT_MS, `The ${name} did not answer within ${TIMEOUT_MS} ms.`);
      return 'ok';
    } catch (error) {
      logger.warn({ err: error, check: name }, 'not ready');
      return 'failed';
    }
  }

  async function checkAll(): Promise<Readiness> {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const [databaseState, orchestratorState, ragState] = await Promise.all([
      check('database', database.checkReady(TIMEOUT_MS)),
      check('orchestrator', orchestrator.checkReady(signal)),
      check('rag', rag.checkReady(signal)),
    ]);
    const checks = {
      database: databaseState,
      orchestrator: orchestratorState,
      rag: ragState,
      usage_log: isRecording() ? ('ok' as const) : ('failed' as const),
    };
    const ready = Object.values(checks).every((state) => state === 'ok');
    const limits = areLimitsDegraded() ? ('degraded' as const) : ('ok' as const);
    return { status: ready ? 'ready' : 'not_ready', checks: { ...checks, limits } };
  }

  return async () => {
    if (isDraining()) return { status: 'not_ready', checks: null };
    const now = monotonicNow();
    if (last === undefined || now - last.at >= KEPT_FOR_MS) last = { at: now, readiness: checkAll() };
    return last.readiness;
  };
}
