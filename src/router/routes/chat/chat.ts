import {
  multiTenantChatRequestSchema,
  multiTenantChatResponseSchema,
} from '#app/schemas/multi-tenant-chat-request.ts';
import { stateOf, tenantOf } from '#router/http/request-state.ts';
import { sendStream } from '#router/http/send-stream.ts';
import type { Endpoint } from '#router/router-services.ts';
import { answers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';
import { nativeAnswer, nativeErrorFrame, nativeFrames } from '#router/turns/native-answer.ts';
import { planNativeTurn } from '#router/turns/plan-turn.ts';
import { startTurn } from '#router/turns/start-turn.ts';

/** `POST /v1/chat`: a turn of a stored conversation, answered from the vault. */
export const chat: Endpoint = (app, services) => {
  app.route({
    method: 'POST',
    url: '/v1/chat',
    schema: {
      ...TAGS.chat,
      summary: 'Ask, and get an answer with citations',
      description:
        'With `stream: true` the answer is an event stream: `started`, `retrieved`, `delta`…, `answer`; or `error`.',
      body: multiTenantChatRequestSchema,
      response: answers(multiTenantChatResponseSchema),
    },
    handler: async (request, reply) => {
      const { accounting, logger, keepAliveMs, monotonicNow } = services;
      const state = stateOf(request);
      const tenant = tenantOf(request);
      const plan = planNativeTurn(request.body, tenant.policy.config);
      const turn = {
        events: await startTurn({ plan, request, services }),
        context: tenant.context,
        usage: state.usage,
        elapsed: () => Math.round(monotonicNow() - state.startedAt),
      };
      if (!request.body.stream) return nativeAnswer(turn);
      await sendStream({
        request,
        reply,
        frames: nativeFrames(turn),
        errorFrame: (error) => nativeErrorFrame(error, state.requestId),
        accounting,
        logger,
        keepAliveMs,
      });
      return reply;
    },
  });
};
