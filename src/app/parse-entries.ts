import type { z } from 'zod';

/** Of one list: how many of its entries were left out, and what was wrong with the first of them. */
export type SkippedEntries = Readonly<{ skipped: number; total: number; first: z.ZodError }>;

/**
 * The entries of a list from another system that fit, in their order; the rest are left out and told to `onSkipped`. For lists
 * whose entries stand alone: keys, models, log probabilities. Where a missing entry changes what the others mean (choices and
 * tool calls of an answer, vectors of an embedding, findings of a judge), parse the whole list and fail.
 */
export function parseEntries<Schema extends z.ZodType>(
  schema: Schema,
  entries: readonly unknown[],
  onSkipped?: (skipped: SkippedEntries) => void,
): z.output<Schema>[] {
  const read: z.output<Schema>[] = [];
  let skipped = 0;
  let first: z.ZodError | undefined;
  for (const entry of entries) {
    const parsed = schema.safeParse(entry);
    if (parsed.success) read.push(parsed.data);
    else {
      skipped += 1;
      first ??= parsed.error;
    }
  }
  if (first !== undefined) onSkipped?.({ skipped, total: entries.length, first });
  return read;
}
