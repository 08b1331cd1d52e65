import type { FastifyRequest } from 'fastify';
import { stateOf, tenantOf } from '#router/http/request-state.ts';
import { guardFields, guardItems } from '#router/responses/kept/guard-kept.ts';
import type { RouterServices } from '#router/router-services.ts';

type Services = Pick<RouterServices, 'guardrails' | 'judges'>;
type Item = Readonly<Record<string, unknown>>;

/** Items as this caller may see them now: through the output guardrails, and what answers said through the judges. */
export async function showItems<Kept extends Item>(
  items: readonly Kept[],
  request: FastifyRequest,
  services: Services,
): Promise<Kept[]> {
  const guard = guardOf(request, services);
  const guarded = structuredClone(await guardItems([...items], guard));
  const texts = guarded.flatMap(answerTexts);
  const { context, policy } = tenantOf(request);
  const { requestId, signal } = stateOf(request);
  const judged = await services.judges.judgeStored(
    { context, policy, requestId, signal },
    texts.map(({ text }) => text),
  );
  for (const [index, { write }] of texts.entries()) write(judged[index] ?? '');
  return guarded;
}

/** The other fields of a response, likewise: what the client chose is looked at, and what we say is said. */
export async function showFields(
  fields: Item,
  request: FastifyRequest,
  services: Services,
): Promise<Record<string, unknown>> {
  const { metadata, instructions, tools, tool_choice, text } = fields;
  const chosen = { metadata, instructions, tools, tool_choice, text };
  return { ...fields, ...(await guardFields(chosen, guardOf(request, services))) };
}

function guardOf(request: FastifyRequest, { guardrails }: Services) {
  const { context, policy } = tenantOf(request);
  return {
    redact: (text: string) => guardrails.output.redactInSteps(policy, text),
    tenantId: context.tenantId,
    signal: stateOf(request).signal,
  };
}

type AnswerText = Readonly<{ text: string; write: (text: string) => void }>;

/** What a model wrote in an item, and how to write something else there. */
function answerTexts(item: Item): AnswerText[] {
  if (item.type === 'function_call') return textAt(item, 'arguments');
  const isAnswer = item.type === 'reasoning' || (item.type === 'message' && item.role === 'assistant');
  if (!isAnswer || !Array.isArray(item.content)) return [];
  return item.content.flatMap((part: unknown) =>
    typeof part === 'object' && part !== null ? [...textAt(part, 'text'), ...textAt(part, 'refusal')] : [],
  );
}

function textAt(object: object, name: string): AnswerText[] {
  const text: unknown = Reflect.get(object, name);
  if (typeof text !== 'string' || text === '') return [];
  return [{ text, write: (written) => void Reflect.set(object, name, written) }];
}
