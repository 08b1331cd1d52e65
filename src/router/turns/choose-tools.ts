import { z } from 'zod';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { TurnRequest } from '#app/schemas/turn.ts';

const named = z.looseObject({ function: z.looseObject({ name: z.string() }) });
const choiceSchema = z.union([
  named.transform((choice) => ({ mode: 'required', tools: [choice], param: 'tool_choice' })),
  z
    .object({ allowed_tools: z.object({ mode: z.string(), tools: z.array(named) }) })
    .transform(({ allowed_tools }) => ({ ...allowed_tools, param: 'tool_choice.allowed_tools.tools' })),
]);
const nameOf = (tool: unknown): string | undefined => named.safeParse(tool).data?.function.name;

/**
 * A choice of one function, or among some, as an offer of these alone: llama.cpp takes a function by its name for "auto",
 * LM Studio refuses it, and few know the other. To be called after the policies have seen the whole list. Throws
 * `invalid_request` where a name is not among the tools.
 */
export function chooseTools(parameters: TurnRequest['engine_parameters']): TurnRequest['engine_parameters'] {
  const choice = choiceSchema.safeParse(parameters.tool_choice).data;
  if (choice === undefined) return parameters;
  const offered: readonly unknown[] = Array.isArray(parameters.tools) ? parameters.tools : [];
  const known = new Set(offered.map(nameOf));
  const chosen = new Set(choice.tools.map((tool) => tool.function.name));
  if (![...chosen].every((name) => known.has(name))) {
    const { param } = choice;
    throw new BulkheadError('invalid_request', `${param}: names a function that is not in tools`, { param });
  }
  const tools = offered.filter((tool) => chosen.has(nameOf(tool) ?? ''));
  return { ...parameters, tools, tool_choice: choice.mode };
}
