import { z } from 'zod';
import { parseRange } from '#app/addresses.ts';

/** `10.0.0.0/8`, `2001:db8::/32`, or one address. */
export const addressRangeSchema = z
  .string()
  .max(64)
  .refine((text) => parseRange(text) !== null, 'must be a range such as 10.0.0.0/8 or 2001:db8::/32');
