import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { MultiTenantChatRequest, TurnRoute } from '#app/schemas/multi-tenant-chat-request.ts';
import type { TenantConfig, TurnPolicy } from '#app/schemas/tenant-config.ts';
import type { Sampling, TurnRequest } from '#app/schemas/turn.ts';
import { collectTexts, collectTools } from '#router/policy/collect-texts.ts';
import type { RequestText } from '#router/policy/decide-content.ts';
import type { NamedTool } from '#router/policy/decide-tools.ts';
import { type ChatCompletionRequest, PASSED_PARAMETERS } from '#router/turns/chat-completion-schema.ts';

/** Model names of ours, and the route that each selects. Every other name is an engine model: `direct`. */
export const ROUTE_MODELS: ReadonlyMap<string, Exclude<TurnRoute, 'direct'>> = new Map([
  ['bulkhead-rag', 'rag'],
  ['bulkhead-chat', 'chat'],
]);

/** A turn, and what policy must look at before it may run. */
export type TurnPlan = Readonly<{
  turn: TurnRequest;
  texts: readonly RequestText[];
  tools: readonly NamedTool[];
}>;

export function planNativeTurn(body: MultiTenantChatRequest, config: TenantConfig): TurnPlan {
  const turn: TurnRequest = {
    route: body.route,
    model: body.model ?? null,
    messages: [{ role: 'user', content: body.message }],
    persist: true,
    sampling: {
      ...(body.max_tokens === undefined ? {} : { max_tokens: body.max_tokens }),
      ...(body.temperature === undefined ? {} : { temperature: body.temperature }),
    },
    engine_parameters: {},
    policy: policyOf(config, body.top_k),
    ...(body.conversation_id === undefined ? {} : { conversation_id: body.conversation_id }),
    ...(body.document_ids === undefined ? {} : { document_ids: body.document_ids }),
  };
  return { turn, texts: collectTexts({ message: body.message }), tools: [] };
}

/** Throws `invalid_request` where a graph route cannot do what is asked. */
export function planCompletionTurn(body: ChatCompletionRequest, config: TenantConfig): TurnPlan {
  const route = ROUTE_MODELS.get(body.model) ?? 'direct';
  if (route !== 'direct' && (body.n ?? 1) > 1) {
    throw new BulkheadError('invalid_request', `n: the model ${body.model} gives one answer at a time`, {
      param: 'n',
    });
  }
  const passed = Object.fromEntries(
    PASSED_PARAMETERS.filter((name) => body[name] !== undefined && body[name] !== null).map((name) => [
      name,
      body[name],
    ]),
  );
  const turn: TurnRequest = {
    route,
    model: route === 'direct' ? body.model : null,
    messages: body.messages,
    persist: false,
    sampling: samplingOf(body),
    engine_parameters: route === 'direct' ? passed : {},
    policy: policyOf(config),
  };
  return {
    turn,
    texts: collectTexts({ messages: body.messages, ...passed }),
    tools: collectTools({ messages: body.messages, parameters: passed }),
  };
}

function samplingOf(body: ChatCompletionRequest): Sampling {
  const maxTokens = body.max_completion_tokens ?? body.max_tokens;
  const { temperature, top_p, stop, seed } = body;
  return {
    ...(temperature === undefined || temperature === null ? {} : { temperature }),
    ...(top_p === undefined || top_p === null ? {} : { top_p }),
    ...(maxTokens === undefined || maxTokens === null ? {} : { max_tokens: maxTokens }),
    ...(stop === undefined || stop === null ? {} : { stop }),
    ...(seed === undefined || seed === null ? {} : { seed }),
  };
}

const policyOf = (config: TenantConfig, topK = config.rag.top_k): TurnPolicy => ({
  blocked_tools: config.blocked_tools,
  rag: { top_k: topK, rerank: config.rag.rerank, diversity: config.rag.diversity },
});
