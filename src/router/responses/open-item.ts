import type { Citation } from '#app/schemas/multi-tenant-vault-chunk.ts';
import { citeText } from '#router/responses/cite-text.ts';
import type {
  FunctionCallItem,
  MessageItem,
  OutputItem,
  ReasoningItem,
  TokenLogprob,
} from '#router/responses/response-schema.ts';

/** An event of the stream, without its place in the response and its number. */
export type ItemEvent = Readonly<{ type: string; [name: string]: unknown }>;

/** What is written; text and refusals are messages both. */
export type ItemKind = 'output_text' | 'refusal' | 'reasoning' | 'function_call';

/** How an item ends: `incomplete` where the answer was cut off. */
export type ItemEnd = Readonly<{ status: 'completed' | 'incomplete'; citations: readonly Citation[] }>;

/** An output item while it is written. Every method gives the events that tell the client. */
export interface OpenItem {
  readonly kind: ItemKind;
  readonly item: OutputItem;
  /** The events that follow the one that adds the item. */
  begin(): ItemEvent[];
  /** `logprobs`: of the piece’s tokens, where they are told; texts alone keep them. */
  append(piece: string, logprobs?: readonly TokenLogprob[]): ItemEvent[];
  /** The events that precede the one that ends the item. */
  end(end: ItemEnd): ItemEvent[];
}

/** A message of one part: text, or a refusal in the engine's own words. */
export function openMessage(id: string, kind: 'output_text' | 'refusal'): OpenItem {
  const pieces: string[] = [];
  const logprobs: TokenLogprob[] = [];
  const item: MessageItem = { type: 'message', id, status: 'in_progress', role: 'assistant', content: [] };
  const partOf = (text: string): MessageItem['content'][number] =>
    kind === 'refusal'
      ? { type: kind, refusal: text }
      : { type: kind, text, annotations: [], logprobs: [...logprobs] };
  const at = { content_index: 0 };
  return {
    kind,
    item,
    begin: () => [{ type: 'response.content_part.added', ...at, part: partOf('') }],
    append(piece, known = []) {
      pieces.push(piece);
      logprobs.push(...known);
      return kind === 'refusal'
        ? [{ type: 'response.refusal.delta', ...at, delta: piece }]
        : [{ type: 'response.output_text.delta', ...at, delta: piece, logprobs: [...known] }];
    },
    end({ status, citations }) {
      const text = pieces.join('');
      const part = partOf(text);
      const events: ItemEvent[] = [];
      if (part.type === 'output_text') {
        part.annotations = citeText(text, citations);
        for (const [annotation_index, annotation] of part.annotations.entries()) {
          events.push({ type: 'response.output_text.annotation.added', ...at, annotation_index, annotation });
        }
        if (citations.length > 0) item.citations = [...citations];
        events.push({ type: 'response.output_text.done', ...at, text, logprobs: part.logprobs });
      } else events.push({ type: 'response.refusal.done', ...at, refusal: text });
      item.content = [part];
      item.status = status;
      return [...events, { type: 'response.content_part.done', ...at, part }];
    },
  };
}

/** A call of one of the client's functions. */
export function openFunctionCall(id: string, callId: string, name: string): OpenItem {
  const item: FunctionCallItem = {
    type: 'function_call',
    id,
    call_id: callId,
    name,
    arguments: '',
    status: 'in_progress',
  };
  const pieces: string[] = [];
  return {
    kind: 'function_call',
    item,
    begin: () => [],
    append(piece) {
      pieces.push(piece);
      return [{ type: 'response.function_call_arguments.delta', delta: piece }];
    },
    end({ status }) {
      item.arguments = pieces.join('');
      item.status = status;
      return [{ type: 'response.function_call_arguments.done', name, arguments: item.arguments }];
    },
  };
}

/** What an engine thought aloud, where it tells it apart from the answer. */
export function openReasoning(id: string): OpenItem {
  const item: ReasoningItem = { type: 'reasoning', id, summary: [], content: [], status: 'in_progress' };
  const pieces: string[] = [];
  const at = { content_index: 0 };
  return {
    kind: 'reasoning',
    item,
    begin: () => [{ type: 'response.content_part.added', ...at, part: { type: 'reasoning_text', text: '' } }],
    append(piece) {
      pieces.push(piece);
      return [{ type: 'response.reasoning_text.delta', ...at, delta: piece }];
    },
    end({ status }) {
      const part = { type: 'reasoning_text' as const, text: pieces.join('') };
      item.content = [part];
      item.status = status;
      return [
        { type: 'response.reasoning_text.done', ...at, text: part.text },
        { type: 'response.content_part.done', ...at, part },
      ];
    },
  };
}
