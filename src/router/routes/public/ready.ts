import { z } from 'zod';
import type { Endpoint } from '#router/router-services.ts';
import { TAGS } from '#router/routes/tags.ts';

const checkSchema = z.enum(['ok', 'failed']);
const readinessSchema = z.object({
  status: z.enum(['ready', 'not_ready']),
  /** null while the service stops. */
  checks: z.object({ database: checkSchema, orchestrator: checkSchema, rag: checkSchema }).nullable(),
});

/** `GET /readyz`: everything that an answer needs answers. */
export const ready: Endpoint = (app, { readiness }) => {
  app.route({
    method: 'GET',
    url: '/readyz',
    schema: {
      ...TAGS.public,
      summary: 'Database, orchestrator and RAG service answer',
      response: { 200: readinessSchema, 503: readinessSchema },
    },
    handler: async (_request, reply) => {
      const { status, checks } = await readiness();
      return reply.status(status === 'ready' ? 200 : 503).send({ status, checks });
    },
  });
};
