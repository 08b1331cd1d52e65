import { z } from 'zod';
import { pageOf } from '#app/schemas/page.ts';
import { timeSchema } from '#app/schemas/time.ts';

/** Dollars for a million tokens: exact to the billionth, and far above any price there is. */
const dollarsSchema = z.number().nonnegative().max(1_000_000);

/** A price of a model, or of every model without one of its own (`*`), from a time on. */
export const newPriceSchema = z.strictObject({
  // Printable: PostgreSQL refuses a NUL in any text.
  model: z.string().regex(/^[\x21-\x7e]{1,200}$/, 'must be the name of a model, or *'),
  /** Default: now. Never in the past. */
  effective_from: timeSchema.optional(),
  usd_per_million_prompt_tokens: dollarsSchema,
  usd_per_million_completion_tokens: dollarsSchema,
});
export type NewPrice = z.infer<typeof newPriceSchema>;

export const newPricesSchema = z.strictObject({
  prices: z
    .array(newPriceSchema)
    .min(1)
    .max(200)
    .describe('New prices; models that are not named keep theirs.'),
});

export const listedPriceSchema = z.object({
  version: z.int().positive(),
  model: z.string(),
  effective_from: z.string(),
  usd_per_million_prompt_tokens: z.number(),
  usd_per_million_completion_tokens: z.number(),
  author: z.string(),
  created_at: z.string(),
});
export type ListedPrice = z.infer<typeof listedPriceSchema>;

/** Those that were added. */
export const priceListSchema = z.object({ object: z.literal('list'), data: z.array(listedPriceSchema) });

export const pricePageSchema = pageOf(listedPriceSchema);
