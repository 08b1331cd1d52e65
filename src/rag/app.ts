import type { FastifyInstance } from 'fastify';
import { buildInternalApp } from '#app/http/build-internal-app.ts';
import type { Drain } from '#app/http/drain.ts';
import type { InternalTokenVerifier } from '#app/http/internal-token.ts';
import type { DependencyStates } from '#app/schemas/dependency-states.ts';
import type { RagService } from '#app/services/rag-service.ts';
import type { Settings } from '#app/settings/settings.ts';
import type { Tracing } from '#app/trace.ts';
import type { Logger } from '#observability/logger.ts';
import { registerRagRoutes } from '#rag/routes/index.ts';

export type RagAppOptions = {
  service: RagService;
  /** Of the audience `rag-service`. */
  verifier: InternalTokenVerifier;
  settings: Pick<Settings, 'MAX_BODY_BYTES' | 'MAX_DOCUMENT_BYTES'>;
  logger: Logger;
  drain: Drain;
  /** What `/readyz` tells of what the service needs. */
  dependencies(): DependencyStates;
  /** Absent: no traces. */
  tracing?: Tracing;
};

/** The RAG service over HTTP, for the router and the orchestrator. Not listening yet. */
export function buildRagApp(options: RagAppOptions): FastifyInstance {
  const { service, verifier, settings, logger, drain, dependencies, tracing } = options;
  const app = buildInternalApp({
    verifier,
    ...(tracing && { tracing }),
    drain,
    dependencies,
    onError: (error, fields) =>
      logger.error({ event: 'request_failed', ...fields, err: error }, 'request failed'),
    bodyLimitBytes: settings.MAX_BODY_BYTES,
  });
  // Left unread, for the route to stream.
  app.addContentTypeParser('application/octet-stream', (_request, _payload, done) => done(null));
  registerRagRoutes(app, { service, maxDocumentBytes: settings.MAX_DOCUMENT_BYTES });
  return app;
}
