import { JsonMeter } from '#app/http/json-meter.ts';
import type { RequestText } from '#router/policy/decide-content.ts';
import type { NamedTool } from '#router/policy/decide-tools.ts';
import { readInnerJson } from '#router/policy/inner-json.ts';
import { isMedia } from '#router/policy/media-url.ts';

/** Names of the protocol. That a request has them says nothing of its author. */
const PROTOCOL_NAMES: ReadonlySet<string> = new Set([
  'role',
  'content',
  'type',
  'text',
  'name',
  'function',
  'arguments',
]);
/** What the API lets a role be. */
const ROLES: ReadonlySet<unknown> = new Set(['system', 'developer', 'user', 'assistant', 'tool', 'function']);

/**
 * Every string in the values, with its dotted path: all roles, content parts, tool arguments and definitions,
 * and property names too, each name once. Names and roles of the protocol itself are left out. Strings that are JSON themselves (tool arguments) are read as JSON as well, because
 * their escapes hide text. Parts of one content are also read joined, because an engine joins them.
 */
export function collectTexts(values: Readonly<Record<string, unknown>>): RequestText[] {
  const texts: RequestText[] = [];
  const names = new Set<string>();
  const meter = new JsonMeter();
  const pending: [value: unknown, param: string, isInText: boolean][] = Object.entries(values).map(
    ([name, value]) => [value, name, false],
  );
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const [value, param, isInText] = next;
    if (typeof value === 'string') {
      if (value === '' || (!isInText && isMedia(value, param))) continue;
      texts.push({ text: value, param });
      const inner = readInnerJson(value, meter);
      if (inner === null) continue;
      if ('value' in inner) pending.push([inner.value, param, true]);
      else if (inner.text !== value) texts.push({ text: inner.text, param });
    } else if (Array.isArray(value)) {
      const joined = joinParts(value);
      if (joined !== null) texts.push({ text: joined, param });
      for (let index = 0; index < value.length; index++) {
        const item: unknown = value[index];
        if (holdsText(item)) pending.push([item, `${param}.${index}`, isInText]);
      }
    } else if (typeof value === 'object' && value !== null) {
      for (const [name, item] of Object.entries(value)) {
        if (name === 'role' && ROLES.has(item)) continue;
        if (!PROTOCOL_NAMES.has(name) && !names.has(name)) {
          texts.push({ text: name, param });
          names.add(name);
        }
        if (holdsText(item)) pending.push([item, `${param}.${name}`, isInText]);
      }
    }
  }
  return texts;
}

/** Lists of numbers are long. */
const holdsText = (value: unknown): boolean =>
  typeof value === 'string' || (typeof value === 'object' && value !== null);

function joinParts(parts: readonly unknown[]): string | null {
  const texts = parts.flatMap((part) =>
    typeof part === 'object' && part !== null && 'text' in part && typeof part.text === 'string'
      ? [part.text]
      : [],
  );
  return texts.length > 1 ? texts.join('') : null;
}

/** Every tool that the request defines, chooses or says was called. */
export function collectTools(request: {
  messages: readonly Readonly<{ role: string; [field: string]: unknown }>[];
  parameters: Readonly<Record<string, unknown>>;
}): NamedTool[] {
  const found: NamedTool[] = [];
  const add = (value: unknown, param: string) => {
    const name = property(value, 'name');
    if (typeof name === 'string') found.push({ name, param: `${param}.name` });
  };
  /** `{ name }`, or `{ function: { name } }`, or `{ custom: { name } }`, as the API has grown. */
  const addAny = (value: unknown, param: string) => {
    add(value, param);
    for (const kind of ['function', 'custom']) add(property(value, kind), `${param}.${kind}`);
  };
  const addEach = (list: unknown, param: string) => {
    if (Array.isArray(list)) for (const [index, item] of list.entries()) addAny(item, `${param}.${index}`);
  };
  const { parameters } = request;
  addEach(parameters.tools, 'tools');
  addEach(parameters.functions, 'functions');
  addAny(parameters.tool_choice, 'tool_choice');
  addEach(
    property(property(parameters.tool_choice, 'allowed_tools'), 'tools'),
    'tool_choice.allowed_tools.tools',
  );
  addAny(parameters.function_call, 'function_call');
  for (const [index, message] of request.messages.entries()) {
    addEach(message.tool_calls, `messages.${index}.tool_calls`);
    add(message.function_call, `messages.${index}.function_call`);
    if (message.role === 'tool' || message.role === 'function') add(message, `messages.${index}`);
  }
  return found;
}

function property(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? Reflect.get(value, name)
    : undefined;
}
