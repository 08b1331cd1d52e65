import { setTimeout as delay } from 'node:timers/promises';
import type { Database, Row } from '#app/database/database.ts';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { type Page, type PageRequest, toPage } from '#app/schemas/page.ts';
import type { ListedPrice, NewPrice } from '#app/schemas/price.ts';
import type { Logger } from '#observability/logger.ts';
import { appendEvents } from '#router/audit/append-events.ts';
import { OPERATORS_CHAIN } from '#router/audit/hash-event.ts';
import { mostCostOf, NANOS_PER_DOLLAR, type Price, toNanos } from '#router/ledger/price.ts';

export interface PriceBook {
  /** What a model costs now: its own price, or that of every other model, or that of the settings. */
  priceOf(model: string | null): Price;
  /** The most that a token of any model costs now: for turns of which it is not known yet which model answers. */
  dearest(): Price;
  /** The versions, the one that was added last first. `after` is a version. */
  list(page: PageRequest): Promise<Page<ListedPrice>>;
  /** Adds prices, all or none. They are in effect here at once, and on every router within 5 seconds. */
  add(prices: readonly NewPrice[], author: string): Promise<ListedPrice[]>;
  /** Reads the table again. Throws where the database does not answer: the last known prices stay. */
  refresh(): Promise<void>;
  close(): Promise<void>;
}

/** The price of models that have none of their own. */
export const ANY_MODEL = '*';
const REFRESH_MS = 4_000;
/** Versions in all: a table that an operator writes, read whole. */
const MAX_PRICES = 10_000;

const COLUMNS =
  'version::float8 AS version, model, effective_from, prompt_nanos_per_million::float8 AS prompt, completion_nanos_per_million::float8 AS completion, author, created_at';

type Version = { from: number; price: Price };

/** Versioned prices by model, in memory. */
export function createPriceBook(options: {
  database: Database;
  fallback: Price;
  logger: Logger;
  now: () => number;
}): PriceBook {
  const { database, fallback, logger, now } = options;
  const closing = new AbortController();
  /** Newest first. */
  let versions = new Map<string, Version[]>();
  let isStale = false;

  const read = () =>
    database.asSystem(
      (transaction) =>
        transaction.query(
          `SELECT ${COLUMNS} FROM bulkhead.prices ORDER BY effective_from DESC, version DESC LIMIT ${MAX_PRICES}`,
        ),
      'platform:policies',
    );

  async function refresh(): Promise<void> {
    const rows = await read();
    const next = new Map<string, Version[]>();
    for (const row of rows) {
      const model = String(row.model);
      const price = {
        version: Number(row.version),
        promptNanosPerMillion: Number(row.prompt),
        completionNanosPerMillion: Number(row.completion),
      };
      next.set(model, [...(next.get(model) ?? []), { from: toDate(row.effective_from).getTime(), price }]);
    }
    versions = next;
  }

  async function refreshFromTimeToTime(): Promise<void> {
    while (!closing.signal.aborted) {
      await delay(REFRESH_MS, undefined, { signal: closing.signal, ref: false }).catch(() => undefined);
      if (closing.signal.aborted) return;
      try {
        await refresh();
        isStale = false;
      } catch (error) {
        if (!isStale)
          logger.warn({ event: 'prices_stale', err: error }, 'the prices cannot be read again now');
        isStale = true;
      }
    }
  }
  const refreshing = refreshFromTimeToTime();

  const inEffect = (model: string): Price | undefined => {
    const known = versions.get(model);
    if (known === undefined) return undefined;
    const at = now();
    return known.find(({ from }) => from <= at)?.price;
  };

  return {
    priceOf: (model) => (model === null ? undefined : inEffect(model)) ?? inEffect(ANY_MODEL) ?? fallback,
    dearest() {
      let dearest = inEffect(ANY_MODEL) ?? fallback;
      for (const model of versions.keys()) {
        const price = inEffect(model);
        if (price !== undefined && mostCostOf(price, 1_000_000) > mostCostOf(dearest, 1_000_000))
          dearest = price;
      }
      return dearest;
    },
    async list({ limit, after }) {
      const rows = await database.asSystem((transaction) =>
        transaction.query(
          `SELECT ${COLUMNS} FROM bulkhead.prices WHERE $1::bigint IS NULL OR version < $1
            ORDER BY version DESC LIMIT $2`,
          [after === undefined ? null : versionOf(after), limit + 1],
        ),
      );
      return toPage(rows.map(toListed), limit, ({ version }) => String(version));
    },
    async add(prices, author) {
      const begun = new Date(now());
      for (const [index, { effective_from: from }] of prices.entries()) {
        if (from === undefined || new Date(from) >= begun) continue;
        throw new BulkheadError(
          'invalid_request',
          `prices.${index}.effective_from: is in the past, and what was used then has its price`,
          { param: `prices.${index}.effective_from` },
        );
      }
      const added = await database.asSystem(async (transaction) => {
        const rows = await transaction.query(
          `INSERT INTO bulkhead.prices (model, effective_from, prompt_nanos_per_million, completion_nanos_per_million, author)
           SELECT model, effective_from, prompt, completion, $2
             FROM jsonb_to_recordset($1::jsonb) AS row (model text, effective_from timestamptz, prompt bigint, completion bigint)
           ON CONFLICT (model, effective_from) DO NOTHING
           RETURNING ${COLUMNS}`,
          [
            JSON.stringify(
              prices.map((price) => ({
                model: price.model,
                effective_from: price.effective_from ?? begun.toISOString(),
                prompt: toNanos(price.usd_per_million_prompt_tokens),
                completion: toNanos(price.usd_per_million_completion_tokens),
              })),
            ),
            author,
          ],
        );
        if (rows.length < prices.length) {
          throw new BulkheadError('conflict', 'A model has a price from that time on already.', {
            param: 'prices',
          });
        }
        await appendEvents(transaction, OPERATORS_CHAIN, [
          {
            actor: author,
            tenantId: null,
            action: 'prices.added',
            target: null,
            outcome: 'done',
            details: {
              models: prices.map(({ model }) => model).slice(0, 100),
              versions: rows.map(({ version }) => String(version)).slice(0, 100),
            },
          },
        ]);
        return rows;
      });
      await refresh();
      return added.map(toListed);
    },
    refresh,
    async close() {
      closing.abort();
      await refreshing;
    },
  };
}

function versionOf(after: string): number {
  if (/^[1-9][0-9]{0,14}$/.test(after)) return Number(after);
  throw new BulkheadError('invalid_request', 'after: must be a version', { param: 'after' });
}

const toDate = (value: unknown): Date => (value instanceof Date ? value : new Date(String(value)));

const toListed = (row: Row): ListedPrice => ({
  version: Number(row.version),
  model: String(row.model),
  effective_from: toDate(row.effective_from).toISOString(),
  usd_per_million_prompt_tokens: Number(row.prompt) / NANOS_PER_DOLLAR,
  usd_per_million_completion_tokens: Number(row.completion) / NANOS_PER_DOLLAR,
  author: String(row.author),
  created_at: toDate(row.created_at).toISOString(),
});
