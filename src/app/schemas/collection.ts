import { z } from 'zod';

/** The collection of documents whose uploader names none. */
export const DEFAULT_COLLECTION = 'default';

/** A collection is there as soon as a document is in it. */
export const collectionSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9_-]{0,62}$/, 'must be a-z, 0-9, _ and -, at most 63 characters')
  .describe('A name for documents that belong together, such as `handbook`.');
