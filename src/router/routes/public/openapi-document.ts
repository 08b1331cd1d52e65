import type { Endpoint } from '#router/router-services.ts';

/** `GET /openapi.json`: made once, from the same schemas that judge requests. */
export const openApiDocument: Endpoint = (app) => {
  let document: string | undefined;
  app.route({
    method: 'GET',
    url: '/openapi.json',
    schema: { hide: true },
    handler: async (_request, reply) => {
      document ??= JSON.stringify(app.swagger());
      return reply.type('application/json; charset=utf-8').header('cache-control', 'no-cache').send(document);
    },
  });
};
