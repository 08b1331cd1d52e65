import { z } from 'zod';

const errorSchema = z.looseObject({
  code: z.string(),
  message: z.string().optional(),
  detail: z.string().optional(),
  param: z.string().nullish(),
});
const bodySchema = z.union([z.object({ error: errorSchema }).transform(({ error }) => error), errorSchema]);

/** The error of an answer, in whichever of the two forms. */
export const errorBodyOf = (response: { json(): unknown }) => bodySchema.parse(response.json());
