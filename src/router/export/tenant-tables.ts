import type { Database, Row, Transaction } from '#app/database/database.ts';
import type { TenantContext } from '#app/tenant-context.ts';

/** A table with rows of tenants, as the database's catalogue has it: a table that is added is exported by itself. */
export type TenantTable = Readonly<{
  name: string;
  columns: readonly string[];
  /** Left out of exports: what proves secrets. */
  omitted: readonly string[];
  key: readonly Readonly<{ column: string; type: string }>[];
  /** Whether the tenant's own role may read it; otherwise the system role does, which row-level security does not bound. */
  isTenantReadable: boolean;
}>;

/** The platform's own: erased ids, and answers kept for a day for requests that are sent again. */
const PLATFORM_TABLES = ['tenant_erasures', 'idempotency_keys'];
/** Columns that only prove a secret: of no use to a tenant, and of some to a thief. */
const SECRET_COLUMN = /(?:^|_)(?:hmac|secret|password|token_hash|ciphertext)(?:_|$)/;

const DISCOVER = `
  SELECT c.relname AS name,
         has_table_privilege('bulkhead_tenant', c.oid, 'SELECT') AS is_tenant_readable,
         (SELECT jsonb_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a
           WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
         (SELECT jsonb_agg(jsonb_build_object('column', a.attname, 'type', format_type(a.atttypid, NULL))
                           ORDER BY array_position(i.indkey::int2[], a.attnum))
            FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey::int2[])
           WHERE i.indrelid = c.oid AND i.indisprimary) AS key
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname = 'bulkhead' AND c.relkind IN ('r', 'p') AND NOT c.relispartition
     AND EXISTS (SELECT 1 FROM pg_attribute a
                  WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped)
   ORDER BY c.relname`;

type Discovered = {
  name: string;
  is_tenant_readable: boolean;
  columns: string[];
  key: { column: string; type: string }[] | null;
};

/** Every table of the schema that names tenants. */
export async function findTenantTables(database: Database): Promise<TenantTable[]> {
  const rows = await database.asSystem((transaction) => transaction.query<Discovered>(DISCOVER));
  return rows
    .filter(({ name }) => !PLATFORM_TABLES.includes(name))
    .map(({ name, is_tenant_readable, columns, key }) => {
      if (key === null) throw new Error(`The table ${name} has no primary key: its rows cannot be paged.`);
      const omitted = columns.filter((column) => SECRET_COLUMN.test(column));
      return { name, columns, omitted, key, isTenantReadable: is_tenant_readable };
    });
}

/** Rows of the first batch of a table, and of later ones at most; characters that a batch should hold. */
const FIRST_BATCH = 16;
const MAX_BATCH = 500;
const BATCH_CHARACTERS = 1_048_576;

/** The tenant's rows, each as the text of a JSON object, in batches and in the order of the primary key. */
export async function* readRows(
  database: Database,
  context: TenantContext,
  table: TenantTable,
  signal: AbortSignal,
): AsyncGenerator<string[], void> {
  const keys = table.key.map(({ column }) => identifier(column)).join(', ');
  const keyTexts = table.key.map(({ column }, index) => `${identifier(column)}::text AS key_${index}`);
  const after = table.key.map(({ type }, index) => `$${index + 3}::${type}`).join(', ');
  const select = (where: string, rows: number) =>
    `SELECT (to_jsonb(row) - ARRAY(SELECT jsonb_array_elements_text($2::jsonb)))::text AS json, ${keyTexts.join(', ')}
       FROM bulkhead.${identifier(table.name)} AS row
      WHERE tenant_id = $1 ${where} ORDER BY ${keys} LIMIT ${rows}`;
  const run = <Result>(work: (transaction: Transaction) => Promise<Result>) =>
    table.isTenantReadable ? database.asTenant(context, work) : database.asSystem(work, context.tenantId);
  let last: readonly string[] | null = null;
  let limit = FIRST_BATCH;
  for (;;) {
    signal.throwIfAborted();
    const parameters: string[] = [context.tenantId, JSON.stringify(table.omitted), ...(last ?? [])];
    const where: string = last === null ? '' : `AND (${keys}) > (${after})`;
    const rows: Row[] = await run((transaction) => transaction.query(select(where, limit), parameters));
    const lines = rows.map((row) => String(row.json));
    if (lines.length > 0) yield lines;
    const final = rows.at(-1);
    if (final === undefined || rows.length < limit) return;
    const characters = lines.reduce((sum, { length }) => sum + length, 0);
    // Rows may be megabytes long: what is held is bounded by their size, not by their number.
    limit = Math.min(
      MAX_BATCH,
      Math.max(1, Math.floor((limit * BATCH_CHARACTERS) / Math.max(1, characters))),
    );
    last = table.key.map((_, index) => String(final[`key_${index}`]));
  }
}

/** Names come from the catalogue, and are quoted all the same. */
const identifier = (name: string): string => `"${name.replaceAll('"', '""')}"`;
