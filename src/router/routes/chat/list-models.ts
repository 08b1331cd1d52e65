import { stateOf, tenantOf } from '#router/http/request-state.ts';
import type { Endpoint } from '#router/router-services.ts';
import { modelListSchema } from '#router/routes/chat/model-schema.ts';
import { answers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';
import { visibleModels } from '#router/turns/visible-models.ts';

/** `GET /v1/models` */
export const listModels: Endpoint = (app, { orchestrator, logger }) => {
  app.route({
    method: 'GET',
    url: '/v1/models',
    schema: {
      ...TAGS.chat,
      summary: 'The models that this tenant may call',
      response: answers(modelListSchema),
    },
    handler: async (request) => {
      const { signal } = stateOf(request);
      const data = await visibleModels({ orchestrator, tenant: tenantOf(request), signal, logger });
      return { object: 'list' as const, data };
    },
  });
};
