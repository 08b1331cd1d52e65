import { z } from 'zod';
import type { ChatCompletionChunk } from '#app/schemas/chat-completion-chunk.ts';
import { type ItemEvent, openFunctionCall } from '#router/responses/open-item.ts';
import type { OutputItems, PlacedItem } from '#router/responses/output-items.ts';

type CallPiece = NonNullable<ChatCompletionChunk['choices'][number]['delta']['tool_calls']>[number];
/** `early`: arguments that came before the name. */
type Call = { id: string; name: string; early: string; placed: PlacedItem | null };

const text = z.string().catch('');
const pieceSchema = z.object({
  id: text,
  function: z.object({ name: text, arguments: text }).catch({ name: '', arguments: '' }),
});

/** An engine's tool calls, in pieces by their index, as items of the output. */
export class FunctionCalls {
  readonly #calls = new Map<number, Call>();
  readonly #output: OutputItems;
  readonly #idOf: (prefix: string) => string;

  constructor(output: OutputItems, idOf: (prefix: string) => string) {
    this.#output = output;
    this.#idOf = idOf;
  }

  take(piece: CallPiece): ItemEvent[] {
    const call = this.#calls.get(piece.index) ?? { id: '', name: '', early: '', placed: null };
    this.#calls.set(piece.index, call);
    const { id, function: called } = pieceSchema.parse(piece);
    if (call.placed !== null) {
      return called.arguments === '' ? [] : this.#output.append(call.placed, called.arguments);
    }
    call.id ||= id;
    call.name ||= called.name;
    call.early += called.arguments;
    // An item is added with its name.
    return call.name === '' ? [] : this.#add(call);
  }

  #add(call: Call): ItemEvent[] {
    const ended = this.#output.endSpoken();
    const itemId = this.#idOf('fc');
    const callId = call.id === '' ? itemId.replace(/^fc_/, 'call_') : call.id;
    const { placed, events } = this.#output.add(openFunctionCall(itemId, callId, call.name));
    call.placed = placed;
    return [...ended, ...events, ...(call.early === '' ? [] : this.#output.append(placed, call.early))];
  }
}
