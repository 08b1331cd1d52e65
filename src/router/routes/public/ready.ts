import { readinessSchema } from '#router/http/readiness.ts';
import type { Endpoint } from '#router/router-services.ts';
import { TAGS } from '#router/routes/tags.ts';

/** `GET /readyz`: whether this router takes requests, and the state of what it shares with others. */
export const ready: Endpoint = (app, { readiness }) => {
  app.route({
    method: 'GET',
    url: '/readyz',
    schema: {
      ...TAGS.public,
      summary: 'Whether this router takes requests, and the state of what it shares with others',
      response: { 200: readinessSchema, 503: readinessSchema },
    },
    handler: async (_request, reply) => {
      const { status, checks } = await readiness();
      return reply.status(status === 'ready' ? 200 : 503).send({ status, checks });
    },
  });
};
