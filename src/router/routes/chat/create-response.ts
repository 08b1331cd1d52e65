import { stateOf, tenantOf } from '#router/http/request-state.ts';
import { sendStream } from '#router/http/send-stream.ts';
import { planResponseTurn } from '#router/responses/plan-response-turn.ts';
import { responseAnswer, responseErrorFrames, responseFrames } from '#router/responses/response-answer.ts';
import { newResponse } from '#router/responses/response-object.ts';
import { responseRequestSchema } from '#router/responses/response-request-schema.ts';
import { responseSchema } from '#router/responses/response-schema.ts';
import { ResponseWriter } from '#router/responses/response-writer.ts';
import type { Endpoint } from '#router/router-services.ts';
import { answers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';
import { withRenamedParams } from '#router/turns/rename-param.ts';
import { startTurn } from '#router/turns/start-turn.ts';

/** `POST /v1/responses`: OpenAI's newer API, bridged onto the same turns as chat. */
export const createResponse: Endpoint = (app, services) => {
  app.route({
    method: 'POST',
    url: '/v1/responses',
    schema: {
      ...TAGS.chat,
      summary: 'OpenAI-compatible responses',
      description:
        'Models and policies are those of `/v1/chat/completions`. No response is kept, whatever `store` says: the whole ' +
        'conversation is sent as `input`, and what needs kept ones is refused. Parameters that are not known are ignored.',
      body: responseRequestSchema,
      response: answers(responseSchema),
    },
    handler: async (request, reply) => {
      const { accounting, logger, keepAliveMs, now } = services;
      const { body } = request;
      const { requestId } = stateOf(request);
      const { plan, rename } = planResponseTurn(body, tenantOf(request).policy.config);
      const events = withRenamedParams(await startTurn({ plan, request, services }), rename);
      const id = `resp_${requestId.replace(/^req_/, '')}`;
      const writer = new ResponseWriter(newResponse({ body, id, created: Math.floor(now() / 1_000) }), now);
      if (body.stream !== true) return responseAnswer(events, writer);
      await sendStream({
        request,
        reply,
        frames: responseFrames(events, writer),
        errorFrame: (error) => responseErrorFrames(error, writer),
        accounting,
        logger,
        keepAliveMs,
      });
      return reply;
    },
  });
};
