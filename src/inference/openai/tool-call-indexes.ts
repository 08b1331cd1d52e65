type Call = Readonly<Record<string, unknown>>;

/**
 * The index of every streamed tool call, where a server leaves it out: clients join the pieces of a call by its
 * index, and drop pieces that have none. A new id begins a new call; a piece without an id goes on with the last.
 * One instance a choice.
 */
export class ToolCallIndexes {
  readonly #byId = new Map<string, number>();
  #last = -1;

  /** The call with its index. `place` is where it stands among the calls of its event. */
  complete(call: Call, place: number): Call {
    const index = isIndex(call.index) ? call.index : this.#guess(call, place);
    if (typeof call.id === 'string' && call.id !== '') this.#byId.set(call.id, index);
    this.#last = Math.max(this.#last, index);
    return { ...call, index };
  }

  #guess({ id }: Call, place: number): number {
    if (typeof id === 'string' && id !== '') return this.#byId.get(id) ?? this.#last + 1;
    // Several pieces without ids in one event can only be told apart by their places.
    return Math.max(this.#last, place);
  }
}

const isIndex = (value: unknown): value is number => Number.isInteger(value) && Number(value) >= 0;
