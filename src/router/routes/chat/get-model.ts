import { z } from 'zod';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { stateOf, tenantOf } from '#router/http/request-state.ts';
import type { Endpoint } from '#router/router-services.ts';
import { modelSchema } from '#router/routes/chat/model-schema.ts';
import { answers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';
import { visibleModels } from '#router/turns/visible-models.ts';

const wildcardSchema = z.object({ '*': z.string() });

/** `GET /v1/models/:model`. Model names hold slashes, so the rest of the path is the name. */
export const getModel: Endpoint = (app, { orchestrator, logger }) => {
  app.route({
    method: 'GET',
    url: '/v1/models/*',
    schema: {
      ...TAGS.chat,
      summary: 'One model, by its name',
      response: answers(modelSchema),
    },
    handler: async (request) => {
      const { signal } = stateOf(request);
      const { '*': name } = wildcardSchema.parse(request.params);
      const models = await visibleModels({ orchestrator, tenant: tenantOf(request), signal, logger });
      const model = models.find(({ id }) => id === name);
      // A model that policy hides answers as one that does not exist.
      if (model === undefined) {
        throw new BulkheadError('model_not_found', 'There is no such model.', { param: 'model' });
      }
      return model;
    },
  });
};
