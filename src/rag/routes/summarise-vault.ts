import type { FastifyInstance } from 'fastify';
import { contextOf, signalOf } from '#app/http/build-internal-app.ts';
import { RAG_PATHS } from '#app/services/rag-http.ts';
import type { RagRouteOptions } from '#rag/routes/route-options.ts';

/** `GET /internal/v1/summary`: how many documents the caller sees, and how large they are. */
export function summariseVaultRoute(app: FastifyInstance, { service }: RagRouteOptions): void {
  app.get(RAG_PATHS.summary, (request, reply) => service.summariseVault(contextOf(request), signalOf(reply)));
}
