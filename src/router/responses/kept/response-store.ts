import { z } from 'zod';
import type { Database } from '#app/database/database.ts';
import { stringifyStorable } from '#app/database/stringify-storable.ts';
import { notFound } from '#app/errors/bulkhead-error.ts';
import type { ResponseId } from '#app/ids.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import {
  type KeptResponse,
  keptResponseSchema,
  type NewKeptResponse,
  REFERENCE,
} from '#router/responses/kept/kept-response.ts';

type Item = Record<string, unknown>;

/** What is known of a response without reading it. */
export type ResponseSize = Readonly<{
  depth: number;
  byteSize: number;
  outputBytes: number;
  contextBytes: number;
}>;

/**
 * One user's kept responses. An id of another user or tenant is answered as one that never was, and so is one of before
 * `since`: what is too old for the tenant is gone, whether it was deleted by now or not.
 */
export interface ResponseStore {
  /** Those that are there. */
  sizes(
    context: TenantContext,
    ids: ReadonlySet<ResponseId>,
    since: string,
  ): Promise<ReadonlyMap<string, ResponseSize>>;
  /** The items of a response and of those before it, as far as they are there: oldest first, at most `depth` responses. */
  chain(
    context: TenantContext,
    asked: { responseId: ResponseId; depth: number; since: string },
  ): Promise<readonly Readonly<{ input: Item[]; output: Item[] }>[]>;
  /** Items by their ids, of these responses: those that are there. */
  items(
    context: TenantContext,
    asked: {
      ids: ReadonlySet<string>;
      of: ReadonlySet<ResponseId>;
      list: 'input' | 'output';
      since: string;
    },
  ): Promise<ReadonlyMap<string, Item>>;
  /** Throws `not_found`. */
  get(context: TenantContext, responseId: ResponseId, since: string): Promise<KeptResponse>;
  /** Throws `not_found`. */
  delete(context: TenantContext, responseId: ResponseId, since: string): Promise<void>;
  /** How many bytes it takes. Nothing is kept where the signal has fired before it is written. */
  insert(context: TenantContext, response: NewKeptResponse, signal: AbortSignal): Promise<number>;
}

/** A row costs this much beside what it holds. */
const ROW_BYTES = 512;

const itemsSchema = z.array(z.record(z.string(), z.unknown()));
const itemSchema = z.looseObject({ id: z.string() });
const OWN = 'tenant_id = $1 AND user_id = $2 AND response_id >= $3';
const list = (values: ReadonlySet<string>) => JSON.stringify([...values]);

/**
 * Every statement names tenant and user, although row-level security would hide other rows anyway. Rows are looked up one by
 * one, by LATERAL and LIMIT: a plain join may read all of a user's rows for each, where the planner knows no better.
 */
export function createResponseStore({ database }: { database: Database }): ResponseStore {
  return {
    async sizes(context, ids, since) {
      const rows = await database.asUser(context, (transaction) =>
        transaction.query(
          `SELECT one.* FROM jsonb_array_elements_text($4::jsonb) AS asked (id) CROSS JOIN LATERAL (
             SELECT response_id, depth, byte_size, output_bytes, context_bytes FROM bulkhead.responses
              WHERE ${OWN} AND response_id = asked.id LIMIT 1) AS one`,
          [context.tenantId, context.userId, since, list(ids)],
        ),
      );
      return new Map(
        rows.map((row) => [
          String(row.response_id),
          {
            depth: Number(row.depth),
            byteSize: Number(row.byte_size),
            outputBytes: Number(row.output_bytes),
            contextBytes: Number(row.context_bytes),
          },
        ]),
      );
    },

    async chain(context, { responseId, depth, since }) {
      const rows = await database.asUser(context, (transaction) =>
        transaction.query(
          `WITH RECURSIVE chain AS (
             SELECT previous_response_id, input, output, 1 AS step FROM bulkhead.responses
              WHERE ${OWN} AND response_id = $4
             UNION ALL
             SELECT one.*, chain.step + 1 FROM chain CROSS JOIN LATERAL (
               SELECT previous_response_id, input, output FROM bulkhead.responses
                WHERE ${OWN} AND response_id = chain.previous_response_id LIMIT 1) AS one
              WHERE chain.step < $5)
           SELECT input, (SELECT coalesce(jsonb_agg(item - 'citations' ORDER BY place), '[]')
                            FROM jsonb_array_elements(output) WITH ORDINALITY AS items (item, place)) AS output
             FROM chain ORDER BY step DESC`,
          [context.tenantId, context.userId, since, responseId, depth],
        ),
      );
      return rows.map(({ input, output }) => ({
        input: itemsSchema.parse(input),
        output: itemsSchema.parse(output),
      }));
    },

    async items(context, { ids, of, list: column, since }) {
      if (of.size === 0) return new Map();
      const rows = await database.asUser(context, (transaction) =>
        transaction.query(
          `SELECT item - 'citations' AS item
             FROM jsonb_array_elements_text($4::jsonb) AS asked (response)
            CROSS JOIN LATERAL (
              SELECT response_id, ${column} AS list FROM bulkhead.responses
               WHERE ${OWN} AND response_id = asked.response LIMIT 1) AS one
            CROSS JOIN LATERAL jsonb_array_elements(one.list) AS items (item)
            WHERE item ->> 'id' IN (SELECT jsonb_array_elements_text($5::jsonb)) AND item ->> 'type' <> $6
              -- An item that was sent on keeps its id, and is not where the id says.
              AND split_part(item ->> 'id', '_', 2) = split_part(response_id, '_', 2)`,
          [context.tenantId, context.userId, since, list(of), list(ids), REFERENCE],
        ),
      );
      return new Map(rows.map(({ item }) => itemSchema.parse(item)).map((item) => [item.id, item]));
    },

    async get(context, responseId, since) {
      const [row] = await database.asUser(context, (transaction) =>
        transaction.query(
          `SELECT input, output, response AS fields FROM bulkhead.responses WHERE ${OWN} AND response_id = $4`,
          [context.tenantId, context.userId, since, responseId],
        ),
      );
      if (row === undefined) throw notFound('response', 'response_id');
      return keptResponseSchema.parse(row);
    },

    async delete(context, responseId, since) {
      const rows = await database.asUser(context, (transaction) =>
        transaction.query(
          `DELETE FROM bulkhead.responses WHERE ${OWN} AND response_id = $4 RETURNING response_id`,
          [context.tenantId, context.userId, since, responseId],
        ),
      );
      if (rows.length === 0) throw notFound('response', 'response_id');
    },

    async insert(context, response, signal) {
      const parts = [response.input, response.output, response.fields].map(stringifyStorable);
      const byteSize = parts.reduce((sum, part) => sum + Buffer.byteLength(part), ROW_BYTES);
      await database.asUser(context, async (transaction) => {
        signal.throwIfAborted();
        await transaction.query(
          `INSERT INTO bulkhead.responses (tenant_id, user_id, response_id, previous_response_id, depth, model,
             input, output, response, byte_size, output_bytes, context_bytes, collections)
           VALUES ($1, $2, $3, $4, $5, $6, $7::jsonb, $8::jsonb, $9::json, $10, $11, $12,
             bulkhead.current_collections())`,
          [
            context.tenantId,
            context.userId,
            response.responseId,
            response.previousResponseId,
            response.depth,
            storableName(response.model),
            ...parts,
            byteSize,
            response.outputBytes,
            response.contextBytes,
          ],
        );
        // Rolls back: whoever waited was told by now that nothing is kept.
        signal.throwIfAborted();
      });
      return byteSize;
    },
  };
}

const storableName = (name: string): string => name.toWellFormed().replaceAll('\0', '\uFFFD');
