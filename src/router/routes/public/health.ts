import { z } from 'zod';
import type { Endpoint } from '#router/router-services.ts';
import { TAGS } from '#router/routes/tags.ts';

export const healthSchema = z.object({ status: z.literal('ok') });

/** `GET /healthz`: the process runs. */
export const health: Endpoint = (app) => {
  app.route({
    method: 'GET',
    url: '/healthz',
    schema: {
      ...TAGS.public,
      summary: 'The process runs',
      response: { 200: healthSchema },
    },
    handler: async () => ({ status: 'ok' as const }),
  });
};
