import { z } from 'zod';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { parseRequest } from '#app/http/to-bulkhead-error.ts';
import type { ResponseRequest } from '#router/responses/response-request-schema.ts';

const functionSchema = z.looseObject({
  name: z.string().min(1).max(128),
  description: z.string().nullish(),
  parameters: z.record(z.string(), z.unknown()).nullish(),
  strict: z.boolean().nullish(),
});
const namedSchema = z.looseObject({ name: z.string().min(1) });
const allowedSchema = z.looseObject({
  mode: z.enum(['auto', 'required']),
  tools: z.array(z.looseObject({ type: z.literal('function'), name: z.string().min(1) })).min(1),
});

/** Chat's `tools` and `tool_choice`. Functions alone: the other kinds are run by the server, and none is here. */
export function readTools({ tools, tool_choice: choice }: ResponseRequest): {
  tools?: Record<string, unknown>[];
  tool_choice?: string | Record<string, unknown>;
} {
  const functions = (tools ?? []).map((tool, place) => readTool(tool, `tools.${place}`));
  return {
    ...(functions.length === 0 ? {} : { tools: functions }),
    ...(choice === undefined || choice === null ? {} : { tool_choice: readChoice(choice) }),
  };
}

function readTool(tool: Readonly<Record<string, unknown>>, param: string): Record<string, unknown> {
  if (tool.type !== 'function') {
    throw new BulkheadError('invalid_request', `${param}.type: only functions are supported`, {
      param: `${param}.type`,
    });
  }
  const { name, description, parameters, strict } = parseRequest(functionSchema, tool, param);
  return { type: 'function', function: withoutNulls({ name, description, parameters, strict }) };
}

function readChoice(choice: NonNullable<ResponseRequest['tool_choice']>): string | Record<string, unknown> {
  if (typeof choice === 'string') return choice;
  switch (choice.type) {
    case 'function':
      return {
        type: 'function',
        function: { name: parseRequest(namedSchema, choice, 'tool_choice').name },
      };
    case 'allowed_tools': {
      const { mode, tools } = parseRequest(allowedSchema, choice, 'tool_choice');
      const allowed = tools.map(({ name }) => ({ type: 'function', function: { name } }));
      return { type: 'allowed_tools', allowed_tools: { mode, tools: allowed } };
    }
    default:
      throw new BulkheadError('invalid_request', 'tool_choice.type: only functions are supported', {
        param: 'tool_choice.type',
      });
  }
}

/** Chat's `response_format`; undefined for plain text. */
export function readFormat({ text }: ResponseRequest): Record<string, unknown> | undefined {
  const format = text?.format;
  if (format === undefined || format === null || format.type === 'text') return undefined;
  if (format.type === 'json_object') return { type: 'json_object' };
  const { name, description, schema, strict } = format;
  return { type: 'json_schema', json_schema: withoutNulls({ name, description, schema, strict }) };
}

const withoutNulls = (fields: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined && value !== null));
