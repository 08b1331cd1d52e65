import { readinessSchema } from '#router/http/readiness.ts';
import type { Endpoint } from '#router/router-services.ts';
import { TAGS } from '#router/routes/tags.ts';

/** `GET /readyz`: everything that an answer needs answers. */
export const ready: Endpoint = (app, { readiness }) => {
  app.route({
    method: 'GET',
    url: '/readyz',
    schema: {
      ...TAGS.public,
      summary: 'Whether everything that an answer needs is there',
      response: { 200: readinessSchema, 503: readinessSchema },
    },
    handler: async (_request, reply) => {
      const { status, checks } = await readiness();
      return reply.status(status === 'ready' ? 200 : 503).send({ status, checks });
    },
  });
};
