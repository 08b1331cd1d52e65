import { z } from 'zod';

/** The most objects of a page. */
export const MAX_PAGE_ITEMS = 100;

/** Newest first; `after` is the id of the last object of the page before. */
export const pageRequestSchema = z.strictObject({
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(MAX_PAGE_ITEMS)
    .default(20)
    .describe('The most objects of the page.'),
  // Ids are printable ASCII; PostgreSQL refuses a NUL in any text.
  after: z
    .string()
    .regex(/^[\x21-\x7e]{0,128}$/, 'must be an id')
    .optional()
    .describe('`last_id` of the page before; absent: the first page.'),
});
export type PageRequest = z.infer<typeof pageRequestSchema>;

/** A page as the OpenAI SDKs read it. */
export const pageOf = <Item extends z.ZodType>(item: Item) =>
  z.object({
    object: z.literal('list'),
    data: z.array(item),
    first_id: z.string().nullable(),
    last_id: z.string().nullable(),
    has_more: z.boolean(),
  });

export type Page<Item> = {
  object: 'list';
  data: Item[];
  first_id: string | null;
  last_id: string | null;
  has_more: boolean;
};

/** Makes a page of rows that were read with `limit + 1`, so that `has_more` needs no second query. */
export function toPage<Item>(rows: readonly Item[], limit: number, idOf: (item: Item) => string): Page<Item> {
  const data = rows.slice(0, limit);
  const first = data.at(0);
  const last = data.at(-1);
  return {
    object: 'list',
    data,
    first_id: first === undefined ? null : idOf(first),
    last_id: last === undefined ? null : idOf(last),
    has_more: rows.length > limit,
  };
}
