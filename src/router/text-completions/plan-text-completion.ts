import type { TenantConfig } from '#app/schemas/tenant-config.ts';
import type { TextCompletionRequest } from '#router/text-completions/text-completion-schema.ts';
import { planCompletionTurn, type TurnPlan } from '#router/turns/plan-turn.ts';

/** The prompt as the one message of a chat turn: what chat's policies see is what the engine gets. */
export function planTextCompletion(body: TextCompletionRequest, config: TenantConfig): TurnPlan {
  const {
    model,
    prompt,
    temperature,
    top_p,
    max_tokens,
    stop,
    seed,
    n,
    frequency_penalty,
    presence_penalty,
  } = body;
  const plan = planCompletionTurn(
    {
      model,
      messages: [{ role: 'user', content: Array.isArray(prompt) ? prompt.join('') : prompt }],
      temperature,
      top_p,
      max_tokens,
      stop,
      seed,
      n,
      frequency_penalty,
      presence_penalty,
      logit_bias: body.logit_bias,
    },
    config,
  );
  return {
    ...plan,
    texts: plan.texts.map((text) => ({ ...text, param: promptParam(text.param) })),
    paramOf: promptParam,
  };
}

/** The field of the client's that a field of the chat turn was made of. */
export const promptParam = (param: string): string => (param.startsWith('messages') ? 'prompt' : param);
