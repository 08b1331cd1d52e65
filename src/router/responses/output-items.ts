import type { ItemEnd, ItemEvent, ItemKind, OpenItem } from '#router/responses/open-item.ts';
import type { OutputItem, TokenLogprob } from '#router/responses/response-schema.ts';

/** An item in its place among the others. */
export type PlacedItem = Readonly<{ open: OpenItem; place: number }>;

/** The output of a response while it is written: which items there are, and which may still grow. */
export class OutputItems {
  readonly #items: OpenItem[] = [];
  readonly #open = new Set<number>();

  get size(): number {
    return this.#items.length;
  }

  /** The items as they are now. */
  list(): OutputItem[] {
    return this.#items.map(({ item }) => item);
  }

  /** The item of this kind that still grows. */
  growing(kind: ItemKind): PlacedItem | undefined {
    const place = [...this.#open].findLast((one) => this.#items[one]?.kind === kind);
    const open = place === undefined ? undefined : this.#items[place];
    return place === undefined || open === undefined ? undefined : { open, place };
  }

  add(open: OpenItem): { placed: PlacedItem; events: ItemEvent[] } {
    const place = this.#items.push(open) - 1;
    this.#open.add(place);
    const placed = { open, place };
    // A copy: the item goes on changing, and an event tells how it was.
    const added = { type: 'response.output_item.added', output_index: place, item: { ...open.item } };
    return { placed, events: [added, ...inPlace(placed, open.begin())] };
  }

  append(placed: PlacedItem, piece: string, logprobs?: readonly TokenLogprob[]): ItemEvent[] {
    return inPlace(placed, placed.open.append(piece, logprobs));
  }

  /** Ends what cannot go on once an item of another kind begins: everything but function calls. */
  endSpoken(): ItemEvent[] {
    return [...this.#open]
      .filter((place) => this.#items[place]?.kind !== 'function_call')
      .flatMap((place) => this.#end(place, { status: 'completed', citations: [] }));
  }

  /** Ends everything. The last item is the one that was cut off, if any was. */
  endAll(end: ItemEnd): ItemEvent[] {
    const places = [...this.#open];
    return places.flatMap((place) =>
      this.#end(place, place === places.at(-1) ? end : { ...end, status: 'completed' }),
    );
  }

  #end(place: number, end: ItemEnd): ItemEvent[] {
    const open = this.#items[place];
    this.#open.delete(place);
    if (open === undefined) return [];
    const events = inPlace({ open, place }, open.end(end));
    return [...events, { type: 'response.output_item.done', output_index: place, item: { ...open.item } }];
  }
}

const inPlace = ({ open, place }: PlacedItem, events: readonly ItemEvent[]): ItemEvent[] =>
  events.map((event) => ({ ...event, item_id: open.item.id, output_index: place }));
