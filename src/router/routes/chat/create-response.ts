import { responseIdOf } from '#app/ids.ts';
import type { TurnRequest } from '#app/schemas/turn.ts';
import { stateOf, tenantOf } from '#router/http/request-state.ts';
import { sendStream } from '#router/http/send-stream.ts';
import { draftResponse, fieldsToGuard } from '#router/responses/kept/draft-response.ts';
import { planResponseTurn } from '#router/responses/plan-response-turn.ts';
import {
  type KeepResponse,
  responseAnswer,
  responseErrorFrames,
  responseFrames,
} from '#router/responses/response-answer.ts';
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
        'Models and policies are those of `/v1/chat/completions`. A response that is complete is kept for its user, unless ' +
        '`store` is false or the tenant keeps none: `previous_response_id` and `item_reference` go on from it, under the ' +
        'policies of then. Parameters that are not known are ignored.',
      body: responseRequestSchema,
      response: answers(responseSchema),
    },
    handler: async (request, reply) => {
      const { accounting, logger, keepAliveMs, now, guardrails, responseHistory, keepResponse } = services;
      const { body } = request;
      const { context, policy } = tenantOf(request);
      const { config } = policy;
      const id = responseIdOf(stateOf(request).requestId);
      const isKept = config.responses.store && body.store !== false;
      const history = await responseHistory.expand(context, config, body);
      const { plan, rename, sources } = planResponseTurn(body, {
        items: history.items,
        config,
        // What is kept and shown again is looked at, though no model reads it.
        also: isKept ? { metadata: fieldsToGuard(body).metadata } : {},
      });
      let guarded: TurnRequest = plan.turn;
      const events = withRenamedParams(
        await startTurn({ plan, request, services, onGuarded: (turn) => (guarded = turn) }),
        rename,
      );
      let keep: KeepResponse = async () => false;
      if (isKept) {
        const draft = await draftResponse({
          request,
          guardrails,
          responseId: id,
          body,
          history,
          turn: guarded,
          sources,
        });
        keep = (response) => keepResponse(context, config, () => draft(response));
      }
      const created = Math.floor(now() / 1_000);
      const writer = new ResponseWriter(newResponse({ body, id, created, store: isKept }), now);
      if (body.stream !== true) return responseAnswer(events, writer, keep);
      await sendStream({
        request,
        reply,
        frames: responseFrames(events, writer, keep),
        errorFrame: (error) => responseErrorFrames(error, writer),
        accounting,
        logger,
        keepAliveMs,
      });
      return reply;
    },
  });
};
