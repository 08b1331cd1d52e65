/** Documents of about one size, which wait for each other and for no others. */
export type Lane = Readonly<{
  /** Its place in {@link LANES}, and the priority of its jobs. */
  index: number;
  /** Bytes of the largest document; `deleting` ones go in the first lane whatever their size. */
  maxBytes: number;
  /** Documents of it that are under way at once, of all tenants together. They bound the memory that indexing takes. */
  places: number;
}>;

/**
 * A tenant has `INGEST_WORKERS` documents under way in each lane. So the number of documents that wait holds up neither other
 * tenants nor smaller documents of the same tenant; what they share under way, parsers and the model, has a fair order of
 * its own. The bounds are part of the index `documents_by_lane`.
 */
export const LANES: readonly Lane[] = [
  { index: 0, maxBytes: 16_384, places: 8 },
  { index: 1, maxBytes: 262_144, places: 4 },
  { index: 2, maxBytes: 4_194_304, places: 4 },
  { index: 3, maxBytes: Number.MAX_SAFE_INTEGER, places: 2 },
];

/**
 * Within a lane a tenant's smallest document is next, and every so many times the oldest, so that a large one is not put off
 * for as long as smaller ones come.
 */
export const OLDEST_EVERY = 4;
