import { InvalidArgumentError, Option } from 'commander';
import { collectionSchema } from '#app/schemas/collection.ts';

/** `--collection <name>`, checked before anything is sent. */
export const collectionOption = (description: string): Option =>
  new Option('--collection <name>', description).argParser((name) => {
    const parsed = collectionSchema.safeParse(name);
    if (parsed.success) return parsed.data;
    throw new InvalidArgumentError(`It ${parsed.error.issues[0]?.message ?? 'is not valid'}.`);
  });
