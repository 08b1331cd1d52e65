import type { FastifyInstance } from 'fastify';
import { contextOf, parseCall, signalOf } from '#app/http/build-internal-app.ts';
import { embedRequestSchema } from '#app/schemas/embedding.ts';
import { encodeVectors, RAG_PATHS } from '#app/services/rag-http.ts';
import type { RagRouteOptions } from '#rag/routes/route-options.ts';

/** `POST /internal/v1/embeddings`: vectors of a caller's own texts. */
export function embedTextsRoute(app: FastifyInstance, { service }: RagRouteOptions): void {
  app.post(RAG_PATHS.embeddings, async (request, reply) => {
    const body = parseCall(embedRequestSchema, request.body);
    const { vectors, tokens } = await service.embedTexts(contextOf(request), body, signalOf(reply));
    return { vectors: encodeVectors(vectors), tokens };
  });
}
