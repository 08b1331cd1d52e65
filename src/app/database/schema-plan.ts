import type { Migration } from '#app/database/read-migrations.ts';

/** A step that a database has. `minimumLevel` null: as of {@link Migration}. */
export type AppliedMigration = Readonly<{ name: string; checksum: string; minimumLevel: number | null }>;

export type SchemaPlan = Readonly<{
  /** What this version would apply, in order. */
  pending: readonly Migration[];
  /** Steps of later versions, all compatible with this one. */
  newer: readonly string[];
}>;

/** The schema is not what this version works on. Its message is one line that says what to do. */
export class SchemaError extends Error {
  override readonly name = 'SchemaError';
  /** `pending`: `bulkhead migrate` makes it so. `incompatible`: another version of Bulkhead is needed. */
  readonly kind: 'pending' | 'incompatible';

  constructor(kind: 'pending' | 'incompatible', message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.kind = kind;
  }
}

/** Compares what this version knows with what the database has. Throws {@link SchemaError} `incompatible`. */
export function planSchema(known: readonly Migration[], applied: readonly AppliedMigration[]): SchemaPlan {
  const level = known.at(-1)?.level ?? 0;
  const byName = new Map(known.map((migration) => [migration.name, migration]));
  const newer: string[] = [];
  for (const { name, checksum, minimumLevel } of applied) {
    const mine = byName.get(name);
    if (mine === undefined) {
      if (minimumLevel === null || minimumLevel > level) {
        const needed = minimumLevel === null ? 'a version that has it' : `level ${minimumLevel} or later`;
        throw new SchemaError(
          'incompatible',
          `The database has migration ${name}, which needs ${needed}, and this version is at level ${level}. Run a later version.`,
        );
      }
      newer.push(name);
    } else if (mine.checksum !== checksum) {
      throw new SchemaError(
        'incompatible',
        `Migration ${name} has changed since it was applied to the database. Run the version that applied it, or one released after it.`,
      );
    }
  }
  const names = new Set(applied.map(({ name }) => name));
  return { pending: known.filter(({ name }) => !names.has(name)), newer };
}
