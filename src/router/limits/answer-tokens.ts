import { GRAPH_ANSWER_TOKENS } from '#app/schemas/turn.ts';
import type { RouterSettings } from '#router/router-services.ts';
import { ROUTE_MODELS } from '#router/turns/plan-turn.ts';

/** The tokens to hold for an answer whose length its request does not bound, by the surface and the `model` of the body. */
export type AnswerTokens = (surface: string, model: unknown) => number;

const DEFAULT_TOKENS = 4_096;

/** Our own routes bound their answers themselves; models of the engine have the settings' bounds. */
export function createAnswerTokens(
  settings: Pick<RouterSettings, 'ANSWER_TOKENS' | 'ANSWER_TOKENS_BY_MODEL'>,
): AnswerTokens {
  const byModel = new Map(Object.entries(settings.ANSWER_TOKENS_BY_MODEL ?? {}));
  return (surface, model) => {
    if (surface === '/v1/chat' || typeof model !== 'string' || ROUTE_MODELS.has(model))
      return GRAPH_ANSWER_TOKENS;
    return byModel.get(model) ?? settings.ANSWER_TOKENS ?? DEFAULT_TOKENS;
  };
}
