import type { ChatCompletionChunk } from '#app/schemas/chat-completion-chunk.ts';
import type { ChatCompletion } from '#router/turns/chat-completion-schema.ts';

type Choice = ChatCompletion['choices'][number];
type Delta = ChatCompletionChunk['choices'][number]['delta'];
type Assembled = {
  message: Record<string, unknown>;
  tools: Map<number, Record<string, unknown>>;
  rest: Record<string, unknown>;
};

/**
 * Puts an engine's stream together as the response that it would have given unstreamed: every choice, text and
 * reasoning joined, tool calls joined by their index, log probabilities appended.
 */
export class ChoiceAssembler {
  readonly #choices = new Map<number, Assembled>();

  take(chunk: ChatCompletionChunk): void {
    for (const { index, delta, ...rest } of chunk.choices) {
      const choice = this.#choiceOf(index);
      mergeDelta(choice, delta);
      for (const [name, value] of Object.entries(rest)) {
        if (value === null || value === undefined) continue;
        choice.rest[name] = name === 'logprobs' ? joinLogprobs(choice.rest.logprobs, value) : value;
      }
    }
  }

  choices(): Choice[] {
    return [...this.#choices.entries()]
      .sort(([left], [right]) => left - right)
      .map(([index, { message, tools, rest }]) => {
        const { finish_reason: reason, ...others } = rest;
        const calls = [...tools.entries()].sort(([left], [right]) => left - right).map(([, call]) => call);
        return {
          // Null where the engine says nothing, as OpenAI has them and its typed clients expect.
          logprobs: null,
          ...others,
          index,
          message: {
            refusal: null,
            ...message,
            role: 'assistant',
            content: contentOf(message.content, calls.length > 0),
            ...(calls.length === 0 ? {} : { tool_calls: calls }),
          },
          finish_reason: typeof reason === 'string' ? reason : null,
        };
      });
  }

  #choiceOf(index: number): Assembled {
    let choice = this.#choices.get(index);
    if (choice === undefined) {
      choice = { message: {}, tools: new Map(), rest: {} };
      this.#choices.set(index, choice);
    }
    return choice;
  }
}

/** Beside tool calls, no text is null: engines begin a stream with an empty text, whatever follows it. */
function contentOf(content: unknown, callsTools: boolean): string | null {
  return typeof content !== 'string' || (callsTools && content === '') ? null : content;
}

function mergeDelta(choice: Assembled, delta: Delta): void {
  for (const [name, value] of Object.entries(delta)) {
    if (value === null || value === undefined || name === 'role') continue;
    if (name === 'tool_calls') {
      for (const { index, ...part } of delta.tool_calls ?? []) {
        const call = choice.tools.get(index) ?? {};
        choice.tools.set(index, call);
        joinInto(call, part);
      }
    } else joinInto(choice.message, { [name]: value });
  }
}

/** Parts that name something come whole, and some engines send them again; everything else comes in pieces. */
const WHOLE: ReadonlySet<string> = new Set(['id', 'type', 'name']);

/** Pieces of text are appended, objects merged, and anything else is the last one sent. */
function joinInto(target: Record<string, unknown>, part: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(part)) {
    const known = target[name];
    if (value === null || value === undefined) continue;
    if (typeof value === 'string' && typeof known === 'string' && !WHOLE.has(name))
      target[name] = known + value;
    else if (isObject(value)) {
      const inner: Record<string, unknown> = isObject(known) ? { ...known } : {};
      joinInto(inner, value);
      target[name] = inner;
    } else if (value !== '' || known === undefined) target[name] = value;
  }
}

function joinLogprobs(known: unknown, part: unknown): unknown {
  if (!isObject(known) || !isObject(part)) return copyLists(part);
  for (const [name, value] of Object.entries(part)) {
    const before = known[name];
    // In place: copied with each piece, a long answer's would take time by the square of its length.
    if (Array.isArray(before) && Array.isArray(value)) for (const each of value) before.push(each);
    else if (value != null) known[name] = value;
  }
  return known;
}

/** Lists of our own, which may grow. */
const copyLists = (logprobs: unknown): unknown =>
  isObject(logprobs)
    ? Object.fromEntries(
        Object.entries(logprobs).map(([name, value]) => [name, Array.isArray(value) ? [...value] : value]),
      )
    : logprobs;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
