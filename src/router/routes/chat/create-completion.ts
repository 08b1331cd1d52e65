import { stateOf, tenantOf } from '#router/http/request-state.ts';
import { sendStream } from '#router/http/send-stream.ts';
import type { Endpoint } from '#router/router-services.ts';
import { answers } from '#router/routes/responses.ts';
import { TAGS } from '#router/routes/tags.ts';
import { planTextCompletion, promptParam } from '#router/text-completions/plan-text-completion.ts';
import {
  textCompletionAnswer,
  textCompletionFrames,
} from '#router/text-completions/text-completion-answer.ts';
import {
  textCompletionRequestSchema,
  textCompletionSchema,
} from '#router/text-completions/text-completion-schema.ts';
import { completionErrorFrame } from '#router/turns/completion-answer.ts';
import { withRenamedParams } from '#router/turns/rename-param.ts';
import { startTurn } from '#router/turns/start-turn.ts';

/** `POST /v1/completions`: the API before chat, as a chat turn of one message. */
export const createCompletion: Endpoint = (app, services) => {
  app.route({
    method: 'POST',
    url: '/v1/completions',
    schema: {
      ...TAGS.chat,
      summary: 'OpenAI-compatible text completion (legacy)',
      description:
        'The prompt is asked as the one message of a chat: models answer it rather than write it on. Models and policies ' +
        'are those of `/v1/chat/completions`.',
      body: textCompletionRequestSchema,
      response: answers(textCompletionSchema),
    },
    handler: async (request, reply) => {
      const { accounting, logger, keepAliveMs, now } = services;
      const { body } = request;
      const { requestId } = stateOf(request);
      const plan = planTextCompletion(body, tenantOf(request).policy.config);
      const turn = {
        events: withRenamedParams(await startTurn({ plan, request, services }), promptParam),
        requestId,
        model: body.model,
        created: Math.floor(now() / 1_000),
        includeUsage: body.stream_options?.include_usage === true,
      };
      if (body.stream !== true) return textCompletionAnswer(turn);
      await sendStream({
        request,
        reply,
        frames: textCompletionFrames(turn),
        errorFrame: (error) => completionErrorFrame(error, requestId),
        accounting,
        logger,
        keepAliveMs,
      });
      return reply;
    },
  });
};
