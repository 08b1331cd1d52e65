import { z } from 'zod';
import type { ResponseId } from '#app/ids.ts';
import { outputItemSchema } from '#router/responses/response-schema.ts';

/** An item of the input, as it is kept: with an id. */
export const inputItemSchema = z.looseObject({ type: z.string(), id: z.string() });
export type InputItem = z.infer<typeof inputItemSchema>;

/** The item that stands for one of another response, which is not kept twice. */
export const REFERENCE = 'item_reference';

/** What a request says, and what it was answered. */
export type NewKeptResponse = Readonly<{
  responseId: ResponseId;
  previousResponseId: ResponseId | null;
  /** Responses of its conversation, with itself. */
  depth: number;
  model: string;
  input: readonly InputItem[];
  output: readonly z.infer<typeof outputItemSchema>[];
  /** The other fields of the object. */
  fields: Readonly<Record<string, unknown>>;
  /** Of its output as a later prompt has it, and of such a prompt with all that came before. */
  outputBytes: number;
  contextBytes: number;
}>;

export const keptResponseSchema = z.object({
  input: z.array(inputItemSchema),
  output: z.array(outputItemSchema),
  fields: z.record(z.string(), z.unknown()),
});
export type KeptResponse = z.infer<typeof keptResponseSchema>;

/** An item as a later prompt has it: without what only clients read. null for one that no prompt has. */
export function promptItem(item: Readonly<Record<string, unknown>>): Record<string, unknown> | null {
  if (item.type === 'reasoning' || item.type === REFERENCE) return null;
  const { id: _id, status: _status, citations: _citations, content, ...rest } = item;
  if (!Array.isArray(content)) return content === undefined ? rest : { ...rest, content };
  return { ...rest, content: content.map(withoutNotes) };
}

/** Bytes of items in a later prompt. */
export const promptBytes = (items: readonly Readonly<Record<string, unknown>>[]): number =>
  items.reduce((sum, item) => {
    const prompted = promptItem(item);
    return prompted === null ? sum : sum + Buffer.byteLength(JSON.stringify(prompted)) + 1;
  }, 0);

function withoutNotes(part: unknown): unknown {
  if (typeof part !== 'object' || part === null) return part;
  return Object.fromEntries(
    Object.entries(part).filter(([name]) => name !== 'annotations' && name !== 'logprobs'),
  );
}
