import { z } from 'zod';
import { type PageRequest, pageRequestSchema } from '#app/schemas/page.ts';

/** The most objects of a page; OpenAI's clients ask for up to 10,000 and read on where there are more. */
const MAX_PAGE = 100;

/** The query of OpenAI's lists. */
export const listQuerySchema = z.strictObject({
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(10_000)
    .default(MAX_PAGE)
    .describe(`At most ${MAX_PAGE} come in a page; \`has_more\` says whether there are more.`),
  after: pageRequestSchema.shape.after,
  order: z.literal('desc', 'lists are newest first: desc').default('desc').describe('Newest first.'),
  before: z
    .undefined('pages go forward alone: use after')
    .optional()
    .describe('Not taken: pages go forward alone.'),
});

export const pageOfQuery = ({ limit, after }: z.infer<typeof listQuerySchema>): PageRequest => ({
  limit: Math.min(limit, MAX_PAGE),
  ...(after === undefined ? {} : { after }),
});
