import { z } from 'zod';
import type { ResponseId } from '#app/ids.ts';
import type { ChatMessage } from '#app/schemas/chat-message.ts';
import { inputItemId, placeOfItem } from '#router/responses/kept/item-ids.ts';
import { type InputItem, REFERENCE } from '#router/responses/kept/kept-response.ts';
import type { MessageSource, Place } from '#router/responses/read-input.ts';

type Item = Readonly<{ type: string; [name: string]: unknown }>;

/**
 * The request's own items as they are kept: what is left of them in the messages that the guardrails passed, so that nothing is
 * kept that they have not seen. References stay references. An item has the id that it had here before, or a new one.
 */
export function keepInput(options: {
  responseId: ResponseId;
  messages: readonly ChatMessage[];
  sources: readonly MessageSource[];
  references: ReadonlyMap<number, string>;
  /** As they were sent. */
  sent: readonly Readonly<Record<string, unknown>>[];
}): InputItem[] {
  const { responseId, messages, sources, references, sent } = options;
  const found: [place: number, item: Item][] = [];
  const add = ({ param, isSent }: Place, item: Item | null) => {
    if (isSent && item !== null && param !== 'instructions') found.push([placeIn(param), item]);
  };
  for (const [index, message] of messages.entries()) {
    const source = sources[index];
    if (source === undefined) continue;
    // A message that was made for its calls has their place.
    if (source.calls[0] !== source.place) add(source.place, itemOf(message));
    const calls = Array.isArray(message.tool_calls) ? message.tool_calls : [];
    for (const [nth, place] of source.calls.entries()) add(place, callOf(calls[nth]));
  }
  for (const [place, id] of references) found.push([place, { type: REFERENCE, id }]);
  const used = new Set<string>();
  const kept: InputItem[] = [];
  for (const [place, item] of found.sort(([a], [b]) => a - b)) {
    const known: unknown = item.type === REFERENCE ? item.id : sent[place]?.id;
    const isOurs = typeof known === 'string' && placeOfItem(known) !== null;
    const id =
      isOurs && !used.has(known)
        ? known
        : item.type === REFERENCE
          ? null
          : inputItemId(responseId, item.type, place);
    if (id === null) continue;
    used.add(id);
    kept.push({ ...item, id });
  }
  return kept;
}

const placeIn = (param: string): number => Number(param.split('.')[1] ?? 0);

const partSchema = z.looseObject({ type: z.string() });
const imageSchema = z.object({
  image_url: z.object({ url: z.string(), detail: z.string().default('auto') }),
});
const callSchema = z.object({
  id: z.string(),
  function: z.object({ name: z.string(), arguments: z.string() }),
});

function itemOf({ role, content, tool_call_id: call_id }: ChatMessage): Item | null {
  if (content === undefined || content === null) return null;
  const status = 'completed';
  if (role === 'tool') {
    const output =
      typeof content === 'string' ? content : content.flatMap((part) => partOf(part, 'input_text'));
    return { type: 'function_call_output', status, call_id, output };
  }
  const kind = role === 'assistant' ? 'output_text' : 'input_text';
  const parts = typeof content === 'string' ? [{ type: 'text', text: content }] : content;
  return { type: 'message', status, role, content: parts.flatMap((part) => partOf(part, kind)) };
}

/** A part of a chat's message as this API has it. */
function partOf(part: unknown, kind: 'input_text' | 'output_text'): Record<string, unknown>[] {
  const { type, ...fields } = partSchema.parse(part);
  switch (type) {
    case 'text':
      return [
        kind === 'output_text'
          ? { type: kind, text: fields.text, annotations: [], logprobs: [] }
          : { type: kind, text: fields.text },
      ];
    case 'refusal':
      return [{ type, refusal: fields.refusal }];
    case 'image_url': {
      const { url, detail } = imageSchema.parse(fields).image_url;
      return [{ type: 'input_image', image_url: url, detail }];
    }
    case 'input_audio':
      return [{ type, input_audio: fields.input_audio }];
    default:
      return [];
  }
}

function callOf(call: unknown): Item | null {
  const read = callSchema.safeParse(call).data;
  if (read === undefined) return null;
  const { id: call_id, function: called } = read;
  return {
    type: 'function_call',
    status: 'completed',
    call_id,
    name: called.name,
    arguments: called.arguments,
  };
}
