import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { type ResponseId, responseIdSchema } from '#app/ids.ts';
import type { TenantConfig } from '#app/schemas/tenant-config.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import { placeOfItem } from '#router/responses/kept/item-ids.ts';
import {
  type InputItem,
  inputItemSchema,
  promptBytes,
  REFERENCE,
} from '#router/responses/kept/kept-response.ts';
import { keptSince } from '#router/responses/kept/kept-since.ts';
import type { ResponseSize, ResponseStore } from '#router/responses/kept/response-store.ts';
import type { PlacedInput } from '#router/responses/read-input.ts';
import { MAX_ITEMS } from '#router/responses/response-request-schema.ts';

type Item = Readonly<Record<string, unknown>>;
type Body = Readonly<{ input?: unknown; previous_response_id?: unknown }>;

/** A request's input with all that it refers to. */
export type ExpandedInput = Readonly<{
  items: readonly PlacedInput[];
  /** Items of the request that stand for others, by their place in it. */
  references: ReadonlyMap<number, string>;
  previousResponseId: ResponseId | null;
  /** Responses of the conversation before this one. */
  depth: number;
  /** Of all that is not in the request itself, as a prompt has it. */
  bytes: number;
}>;

export interface ResponseHistory {
  /** Bytes that the prompt has beside what the body holds, roughly: for limits, before anything is read. */
  bytesOf(context: TenantContext, config: TenantConfig, body: unknown): Promise<number>;
  /** Items of a list, with those that others of them stand for, where they are still kept. */
  referred(context: TenantContext, items: readonly InputItem[], since: string): Promise<InputItem[]>;
  /**
   * Throws `previous_response_not_found`, `not_found` for an item, and `invalid_request` where it is more than a request may
   * hold, or the tenant keeps nothing.
   */
  expand(
    context: TenantContext,
    config: TenantConfig,
    body: Body & { input: string | readonly Item[] },
  ): Promise<ExpandedInput>;
}

/** Responses of one conversation, and responses that one request or conversation refers to. */
const MAX_DEPTH = 1_000;

/** What requests refer to. It is bounded before it is read, by what was noted of it when it was kept. */
export function createResponseHistory({
  store,
  maxBytes,
  now,
}: {
  store: ResponseStore;
  /** What a request may hold. */
  maxBytes: number;
  now: () => number;
}): ResponseHistory {
  /** Items by their ids; those that are not there are left out. */
  async function findItems(
    context: TenantContext,
    references: ReferenceList,
    since: string,
  ): Promise<ReadonlyMap<string, Item>> {
    const found = new Map<string, Item>();
    for (const list of ['output', 'input'] as const) {
      const of = references[list];
      const items = await store.items(context, { ids: references.ids, of, list, since });
      for (const [id, item] of items) found.set(id, item);
    }
    return found;
  }

  return {
    async bytesOf(context, config, body) {
      if (typeof body !== 'object' || body === null) return 0;
      const asked: Body = body;
      const references = referencesIn(itemsOf(asked.input));
      const previous = responseIdSchema.safeParse(asked.previous_response_id).data ?? null;
      if (previous === null && references.ids.size === 0) return 0;
      const ids = idsOf(references, previous);
      if (!config.responses.store || ids.size > MAX_DEPTH) return 0;
      const sizes = await store.sizes(context, ids, keptSince(config, now()));
      return bytesBy(sizes, references, previous);
    },

    async referred(context, items, since) {
      const references = referencesIn(items);
      if (references.ids.size === 0) return [...items];
      const known = await findItems(context, references, since);
      return items.map((item) => inputItemSchema.parse(known.get(item.id) ?? item));
    },

    async expand(context, config, { input, previous_response_id }) {
      const own = itemsOf(input);
      const references = referencesIn(own);
      const isAsked = previous_response_id !== undefined && previous_response_id !== null;
      const [firstReference] = references.places.keys();
      const first = isAsked ? PREVIOUS : `input.${firstReference}`;
      const previous = isAsked ? (responseIdSchema.safeParse(previous_response_id).data ?? null) : null;
      const paramOf = (index: number) => (typeof input === 'string' ? 'input' : `input.${index}`);
      if (!isAsked && references.places.size === 0) {
        return {
          items: own.map((item, index) => ({ item, place: { param: paramOf(index), isSent: true } })),
          references: new Map(),
          previousResponseId: null,
          depth: 0,
          bytes: 0,
        };
      }
      if (!config.responses.store) throw keepsNothing(first);
      if (isAsked && previous === null) throw noSuchPrevious();
      const since = keptSince(config, now());
      const ids = idsOf(references, previous);
      if (ids.size > MAX_DEPTH) throw tooMuch(first, `more than ${MAX_DEPTH} responses`);
      const sizes = await store.sizes(context, ids, since);
      const head = previous === null ? undefined : sizes.get(previous);
      if (previous !== null && head === undefined) throw noSuchPrevious();
      const depth = head?.depth ?? 0;
      if (depth >= MAX_DEPTH) throw tooMuch(PREVIOUS, `more than ${MAX_DEPTH} responses`);
      if (bytesBy(sizes, references, previous) > maxBytes)
        throw tooMuch(first, `more than ${maxBytes} bytes`);

      const earlier = previous === null ? [] : await readChain(context, previous, depth, since);
      const known = await findItems(context, references, since);
      const mine = own.map((item, index): PlacedInput => {
        const id = references.places.get(index);
        if (id === undefined) return { item, place: { param: paramOf(index), isSent: true } };
        const referred = known.get(id);
        if (referred === undefined) throw noSuchItem(paramOf(index));
        return { item: referred, place: { param: paramOf(index), isSent: false } };
      });
      const items = [
        ...earlier.map((item) => ({ item, place: { param: PREVIOUS, isSent: false } })),
        ...mine.filter(isFirstOf(references)),
      ];
      if (items.length > MAX_ITEMS) throw tooMuch(first, `more than ${MAX_ITEMS} items`);
      return {
        items,
        references: references.places,
        previousResponseId: previous,
        depth,
        bytes: (head?.contextBytes ?? 0) + promptBytes([...known.values()]),
      };
    },
  };

  /** All items of the responses, oldest first, with those that they refer to in their places. */
  async function readChain(
    context: TenantContext,
    responseId: ResponseId,
    depth: number,
    since: string,
  ): Promise<Item[]> {
    const chain = await store.chain(context, { responseId, depth, since });
    // What is left of a conversation that has lost its beginning is another conversation.
    if (chain.length < depth) throw noSuchPrevious();
    const items = chain.flatMap(({ input, output }) => [...input, ...output]);
    const references = referencesIn(items);
    if (references.ids.size === 0) return items;
    if (references.input.size + references.output.size > MAX_DEPTH) {
      throw tooMuch(PREVIOUS, `more than ${MAX_DEPTH} responses`);
    }
    // Each request referred to little, and to read their items the database reads all of the inputs that they are in.
    const inputs = { ...references, output: new Set<ResponseId>() };
    if (bytesBy(await store.sizes(context, references.input, since), inputs, null) > maxBytes) {
      throw tooMuch(PREVIOUS, `items of inputs with more than ${maxBytes} bytes`);
    }
    const known = await findItems(context, references, since);
    return items.map((item, index) => {
      const id = references.places.get(index);
      const referred = id === undefined ? item : known.get(id);
      if (referred === undefined) throw noSuchPrevious();
      return referred;
    });
  }
}

const PREVIOUS = 'previous_response_id';

/** Items that stand for others: which, by their places; and the responses that have those, by the list that they are in. */
type ReferenceList = Readonly<{
  places: ReadonlyMap<number, string>;
  ids: ReadonlySet<string>;
  input: ReadonlySet<ResponseId>;
  output: ReadonlySet<ResponseId>;
}>;

function referencesIn(items: readonly Item[]): ReferenceList {
  const places = new Map<number, string>();
  const ids = new Set<string>();
  const lists = { input: new Set<ResponseId>(), output: new Set<ResponseId>() };
  for (const [index, item] of items.entries()) {
    const id = referredBy(item);
    if (id === null) continue;
    places.set(index, id);
    const place = placeOfItem(id);
    if (place === null) continue;
    ids.add(id);
    lists[place.isInput ? 'input' : 'output'].add(place.responseId);
  }
  return { places, ids, ...lists };
}

/** Clients may leave the type of a reference out. */
function referredBy(item: Item): string | null {
  const { type, id } = item;
  const isReference =
    type === REFERENCE || ((type ?? null) === null && item.role === undefined && typeof id === 'string');
  return isReference ? String(id) : null;
}

const itemsOf = (input: unknown): readonly Item[] => {
  if (typeof input === 'string') return [{ role: 'user', content: input }];
  return Array.isArray(input) ? input.filter((item) => typeof item === 'object' && item !== null) : [];
};

const idsOf = ({ input, output }: ReferenceList, previous: ResponseId | null): Set<ResponseId> =>
  new Set([...input, ...output, ...(previous === null ? [] : [previous])]);

/** Of a response whose input is referred to, all of it counts: it is seldom done, and what its items take is not noted. */
function bytesBy(
  sizes: ReadonlyMap<string, ResponseSize>,
  references: ReferenceList,
  previous: ResponseId | null,
): number {
  let bytes = previous === null ? 0 : (sizes.get(previous)?.contextBytes ?? 0);
  for (const id of references.output) bytes += sizes.get(id)?.outputBytes ?? 0;
  for (const id of references.input) bytes += sizes.get(id)?.byteSize ?? 0;
  return bytes;
}

/** An item that is referred to twice comes once: a client may name the item for each part of it. */
function isFirstOf({ places }: ReferenceList): (item: PlacedInput, index: number) => boolean {
  const first = new Map<string, number>();
  for (const [index, id] of places) if (!first.has(id)) first.set(id, index);
  return (_item, index) => {
    const id = places.get(index);
    return id === undefined || first.get(id) === index;
  };
}

const noSuchPrevious = () =>
  new BulkheadError(
    'previous_response_not_found',
    `${PREVIOUS}: there is no such response here, or one before it is not kept any more; send the conversation as input`,
    { param: PREVIOUS },
  );

const noSuchItem = (param: string) =>
  new BulkheadError(
    'not_found',
    `${param}: there is no such item here; those of responses with \`store: false\` are not kept: send the item itself`,
    { param },
  );

const keepsNothing = (param: string) =>
  new BulkheadError(
    'invalid_request',
    `${param}: responses are not kept for this tenant; send the whole conversation as input`,
    { param, refusal: { policy: 'responses.store' } },
  );

const tooMuch = (param: string, what: string) =>
  new BulkheadError(
    'invalid_request',
    `${param}: refers to ${what}; send what matters of the conversation as input`,
    { param },
  );
