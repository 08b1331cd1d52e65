import type { TenantConfig } from '#app/schemas/tenant-config.ts';
import { collectTexts } from '#router/policy/collect-texts.ts';
import { type MessageSource, type Place, type PlacedInput, readInput } from '#router/responses/read-input.ts';
import { readFormat, readTools } from '#router/responses/read-tools.ts';
import type { ResponseRequest } from '#router/responses/response-request-schema.ts';
import { planCompletionTurn, type TurnPlan } from '#router/turns/plan-turn.ts';
import { renameParam } from '#router/turns/rename-param.ts';

export type ResponsePlan = Readonly<{
  plan: TurnPlan;
  /** A field of the chat turn as the field of the request that it was made of. */
  rename: (param: string) => string;
  /** Of the turn's messages, one each. */
  sources: readonly MessageSource[];
}>;

/**
 * The request as a chat turn: what chat's policies see is what the engine gets. `items` are its input with all that it refers
 * to; `also` is more that policies look at, by its field.
 */
export function planResponseTurn(
  body: ResponseRequest,
  {
    items,
    config,
    also,
  }: {
    items: readonly PlacedInput[];
    config: TenantConfig;
    also: Readonly<Record<string, unknown>>;
  },
): ResponsePlan {
  const { model, temperature, top_p, max_output_tokens, parallel_tool_calls, reasoning } = body;
  const { messages, sources } = readInput({ instructions: body.instructions, items });
  const rename = (param: string) => requestParam(param, sources);
  const completion = {
    model,
    messages,
    temperature,
    top_p,
    max_completion_tokens: max_output_tokens,
    parallel_tool_calls,
    reasoning_effort: reasoning?.effort,
    response_format: readFormat(body),
    ...readLogprobs(body),
    ...readTools(body),
  };
  let plan: TurnPlan;
  try {
    plan = planCompletionTurn(completion, config);
  } catch (error) {
    throw renameParam(error, rename);
  }
  return {
    plan: {
      ...plan,
      texts: [...plan.texts.map((text) => ({ ...text, param: rename(text.param) })), ...collectTexts(also)],
      tools: plan.tools.map((tool) => ({ ...tool, param: rename(tool.param) })),
      paramOf: rename,
    },
    rename,
    sources,
  };
}

/** Log probabilities are asked for by `include`, or by how many. */
function readLogprobs({ include, top_logprobs: top }: ResponseRequest) {
  const count = top ?? 0;
  if (count === 0 && include?.includes('message.output_text.logprobs') !== true) return {};
  return { logprobs: true, ...(count === 0 ? {} : { top_logprobs: count }) };
}

/** `messages.2.tool_calls.0.function.arguments` is `input.5.function.arguments` to the client, and so on. */
function requestParam(param: string, sources: readonly MessageSource[]): string {
  const [field = '', place, ...rest] = param.split('.');
  switch (field) {
    case 'messages': {
      const source = sources[Number(place)];
      if (source === undefined) return 'input';
      const [inner, nth, ...details] = rest;
      const call = inner === 'tool_calls' ? source.calls[Number(nth)] : undefined;
      if (call !== undefined)
        return inPlace(
          call,
          details.filter((name) => name !== 'function'),
        );
      return inPlace(
        source.place,
        rest.map((name, depth) => (depth === 0 && name === 'content' ? source.content : name)),
      );
    }
    case 'tools':
    case 'tool_choice':
      return param.replace(/\.(?:function|allowed_tools)\b/g, '');
    case 'response_format':
      return ['text', 'format', ...[place, ...rest].filter((name) => name !== 'json_schema')]
        .filter((name) => name !== undefined)
        .join('.');
    case 'reasoning_effort':
      return 'reasoning.effort';
    case 'max_completion_tokens':
    case 'max_tokens':
      return 'max_output_tokens';
    default:
      return param;
  }
}

/** What is not in the request has no fields there. */
const inPlace = ({ param, isSent }: Place, names: readonly string[]): string =>
  isSent && param.startsWith('input.') ? [param, ...names].join('.') : param;
