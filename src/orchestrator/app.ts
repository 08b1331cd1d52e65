import type { FastifyInstance } from 'fastify';
import { buildInternalApp } from '#app/http/build-internal-app.ts';
import type { Drain } from '#app/http/drain.ts';
import type { InternalTokenVerifier } from '#app/http/internal-token.ts';
import type { DependencyStates } from '#app/schemas/dependency-states.ts';
import type { OrchestratorService } from '#app/services/orchestrator-service.ts';
import type { Settings } from '#app/settings/settings.ts';
import type { Tracing } from '#app/trace.ts';
import type { Logger } from '#observability/logger.ts';
import { registerOrchestratorRoutes } from '#orchestrator/routes/index.ts';
import type { ForwardedTokens } from '#orchestrator/routes/route-options.ts';

export type OrchestratorAppOptions = {
  service: OrchestratorService;
  /** Of the audience `orchestrator`. */
  verifier: InternalTokenVerifier;
  /** Where the RAG client of the service looks for tokens: the routes put in what the router sent along. */
  forwardedTokens: ForwardedTokens;
  settings: Pick<Settings, 'MAX_BODY_BYTES'>;
  logger: Logger;
  drain: Drain;
  /** What `/readyz` tells of what the service needs. */
  dependencies(): DependencyStates;
  /** Absent: no traces. */
  tracing?: Tracing;
  /** Silence within a turn after which an empty line is sent, milliseconds. */
  heartbeatMs?: number;
};

/** A turn's body holds what the client sent to the router and some more around it. */
const BODY_OVERHEAD_BYTES = 1_048_576;

/** The orchestrator over HTTP, for the router. Not listening yet. */
export function buildOrchestratorApp(options: OrchestratorAppOptions): FastifyInstance {
  const { service, verifier, forwardedTokens, settings, logger, drain, dependencies, tracing } = options;
  const app = buildInternalApp({
    verifier,
    ...(tracing && { tracing }),
    drain,
    dependencies,
    onError: (error, fields) =>
      logger.error({ event: 'request_failed', ...fields, err: error }, 'request failed'),
    bodyLimitBytes: settings.MAX_BODY_BYTES + BODY_OVERHEAD_BYTES,
  });
  registerOrchestratorRoutes(app, {
    service,
    forwardedTokens,
    logger,
    ...(options.heartbeatMs === undefined ? {} : { heartbeatMs: options.heartbeatMs }),
  });
  return app;
}
