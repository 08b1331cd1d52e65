import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { EMBEDDING_MODEL } from '#app/schemas/embedding.ts';
import { ENGINE_PARAMETERS } from '#app/schemas/engine-parameters.ts';
import type { MultiTenantChatRequest, TurnRoute } from '#app/schemas/multi-tenant-chat-request.ts';
import type { TenantConfig, TurnPolicy } from '#app/schemas/tenant-config.ts';
import type { Sampling, TurnRequest } from '#app/schemas/turn.ts';
import { collectTexts, collectTools } from '#router/policy/collect-texts.ts';
import type { RequestText } from '#router/policy/decide-content.ts';
import type { NamedTool } from '#router/policy/decide-tools.ts';
import type { ChatCompletionRequest } from '#router/turns/chat-completion-schema.ts';
import { modernise } from '#router/turns/legacy-functions.ts';

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
  /** A field of the turn as the caller knows it, where the two differ. */
  paramOf?: (param: string) => string;
  /** The client wants calls in the older form, `function_call`. */
  callsFunctions?: boolean;
}>;

/** Parameters that policies look at and that no engine is given as they are. */
const OLDER_PARAMETERS = ['functions', 'function_call'] as const;

export function planNativeTurn(body: MultiTenantChatRequest, config: TenantConfig): TurnPlan {
  const turn: TurnRequest = {
    route: body.route ?? 'rag',
    model: body.model ?? null,
    messages: [{ role: 'user', content: body.message }],
    persist: true,
    sampling: {
      ...(body.max_tokens == null ? {} : { max_tokens: body.max_tokens }),
      ...(body.temperature == null ? {} : { temperature: body.temperature }),
    },
    engine_parameters: {},
    policy: policyOf(config, body.top_k ?? undefined),
    ...(body.conversation_id == null ? {} : { conversation_id: body.conversation_id }),
    ...(body.document_ids == null ? {} : { document_ids: body.document_ids }),
    ...(body.collection == null ? {} : { collection: body.collection }),
  };
  return { turn, texts: collectTexts({ message: body.message }), tools: [], paramOf: () => 'message' };
}

/** Throws `invalid_request` where a graph route cannot do what is asked. */
export function planCompletionTurn(body: ChatCompletionRequest, config: TenantConfig): TurnPlan {
  if (body.model === EMBEDDING_MODEL) {
    // An engine of one model answers by whatever name it is called.
    throw new BulkheadError(
      'model_not_found',
      `${EMBEDDING_MODEL} does not chat: it is for /v1/embeddings.`,
      {
        param: 'model',
      },
    );
  }
  const route = ROUTE_MODELS.get(body.model) ?? 'direct';
  if (route !== 'direct') refuseWhatGraphsCannot(body);
  const given = (names: readonly string[]) =>
    Object.fromEntries(names.filter((name) => body[name] != null).map((name) => [name, body[name]]));
  const passed = given(ENGINE_PARAMETERS);
  const written = { ...passed, ...given(OLDER_PARAMETERS) };
  const { messages, parameters, callsFunctions, paramOf } = modernise(body);
  const turn: TurnRequest = {
    route,
    model: route === 'direct' ? body.model : null,
    messages: [...messages],
    persist: false,
    sampling: samplingOf(body),
    engine_parameters: route === 'direct' ? { ...passed, ...parameters } : {},
    policy: policyOf(config),
  };
  return {
    turn,
    texts: collectTexts({ messages: body.messages, ...written }),
    tools: collectTools({ messages: body.messages, parameters: written }),
    paramOf,
    callsFunctions,
  };
}

/**
 * Our own routes answer once, in text, and offer no tools of the client's. What may be left unused is (tools that the
 * model may call or not); what the client would rely on is refused, not forgotten.
 */
function refuseWhatGraphsCannot(body: ChatCompletionRequest): void {
  const { model, n, tool_choice, function_call, response_format } = body;
  const refuse = (param: string, why: string) => {
    throw new BulkheadError('invalid_request', `${param}: the model ${model} ${why}`, { param });
  };
  if ((n ?? 1) > 1) refuse('n', 'gives one answer at a time');
  const mustCall = tool_choice === 'required' || typeof (tool_choice ?? 'auto') === 'object';
  if (mustCall) refuse('tool_choice', 'calls none of the client’s tools; engine models do');
  if (typeof (function_call ?? 'auto') === 'object') {
    refuse('function_call', 'calls none of the client’s functions; engine models do');
  }
  const format = typeof response_format === 'object' && response_format !== null ? response_format : {};
  if ('type' in format && format.type !== 'text') {
    refuse('response_format', 'answers in text; engine models take a format');
  }
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
