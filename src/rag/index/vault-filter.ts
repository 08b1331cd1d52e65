/** Columns that a filter may name, and their kinds. Nothing else of a chunk can be filtered by. */
export const FILTER_FIELDS = {
  user_id: 'text',
  visibility: 'text',
  collection: 'text',
  document_id: 'text',
  chunk_id: 'text',
  title: 'text',
  content_hash: 'text',
  page: 'number',
  ordinal: 'number',
  token_count: 'number',
} as const;

export type FilterField = keyof typeof FILTER_FIELDS;
type FieldOf<Kind> = {
  [Field in FilterField]: (typeof FILTER_FIELDS)[Field] extends Kind ? Field : never;
}[FilterField];
export type TextField = FieldOf<'text'>;
export type NumberField = FieldOf<'number'>;

/**
 * A condition on chunks, as a tree: no engine's syntax, so nothing to inject into. Two-valued: a comparison with
 * a field that is null is false, and `not` of it is true. An engine that lacks an operator must throw.
 */
export type VaultFilter =
  | Readonly<{ op: 'eq'; field: TextField; value: string }>
  | Readonly<{ op: 'in'; field: TextField; values: readonly string[] }>
  | Readonly<{ op: 'eq' | 'lt' | 'lte' | 'gt' | 'gte'; field: NumberField; value: number }>
  | Readonly<{ op: 'and' | 'or'; filters: readonly VaultFilter[] }>
  | Readonly<{ op: 'not'; filter: VaultFilter }>;
