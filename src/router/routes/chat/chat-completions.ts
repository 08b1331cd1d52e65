import { stateOf, tenantOf } from '#router/http/request-state.ts';
import { sendStream } from '#router/http/send-stream.ts';
import type { Endpoint } from '#router/router-services.ts';
import { answers, writtenAsItIs } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';
import { chatCompletionRequestSchema, chatCompletionSchema } from '#router/turns/chat-completion-schema.ts';
import { completionAnswer, completionErrorFrame, completionFrames } from '#router/turns/completion-answer.ts';
import { planCompletionTurn } from '#router/turns/plan-turn.ts';
import { withRenamedParams } from '#router/turns/rename-param.ts';
import { startTurn } from '#router/turns/start-turn.ts';

/** `POST /v1/chat/completions`: what OpenAI clients call. The model's name selects the route. */
export const chatCompletions: Endpoint = (app, services) => {
  app.route({
    method: 'POST',
    url: '/v1/chat/completions',
    schema: {
      ...TAGS.chat,
      summary: 'OpenAI-compatible chat',
      description:
        '`bulkhead-rag` answers from the vault and cites in `message.citations`, `bulkhead-chat` answers without ' +
        'it, and any engine model is passed straight through. Parameters that are not known are ignored.',
      body: chatCompletionRequestSchema,
      response: answers(chatCompletionSchema),
    },
    serializerCompiler: writtenAsItIs,
    handler: async (request, reply) => {
      const { accounting, logger, keepAliveMs, now } = services;
      const { body } = request;
      const state = stateOf(request);
      const tenant = tenantOf(request);
      const plan = planCompletionTurn(body, tenant.policy.config);
      const events = await startTurn({ plan, request, services });
      const turn = {
        events:
          plan.callsFunctions === true && plan.paramOf ? withRenamedParams(events, plan.paramOf) : events,
        requestId: state.requestId,
        model: body.model,
        created: Math.floor(now() / 1_000),
        callsFunctions: plan.callsFunctions === true,
        includeUsage: body.stream_options?.include_usage === true,
      };
      if (body.stream !== true) return completionAnswer(turn);
      await sendStream({
        request,
        reply,
        frames: completionFrames(turn),
        errorFrame: (error) => completionErrorFrame(error, state.requestId),
        accounting,
        logger,
        keepAliveMs,
      });
      return reply;
    },
  });
};
