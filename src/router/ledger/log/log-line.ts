import { crc32 } from 'node:zlib';
import { z } from 'zod';
import { stringifyStorable } from '#app/database/stringify-storable.ts';
import { tenantIdSchema } from '#app/ids.ts';
import { type UsageRecord, usageRecordSchema } from '#app/schemas/usage.ts';

/** What is known of a turn before an engine is asked: enough to bill it if the process dies. */
export const begunTurnSchema = z.object({
  request_id: z.string(),
  tenant_id: tenantIdSchema,
  user_id: z.string(),
  key_id: z.string().nullable(),
  route: z.string(),
  model: z.string().nullable(),
  /** When, ISO 8601. */
  at: z.string(),
});
export type BegunTurn = z.infer<typeof begunTurnSchema>;

/** How far a turn has come: each entry replaces the turn's earlier one. */
export const turnProgressSchema = z.object({
  request_id: z.string(),
  route: z.string(),
  model: z.string().nullable(),
  prompt_tokens: z.int().nonnegative(),
  completion_tokens: z.int().nonnegative(),
  estimated_prompt_tokens: z.int().nonnegative().default(0),
  cost_usd_estimate: z.number().nonnegative(),
  price_version: z.int().positive().nullable().default(null),
});
export type TurnProgress = z.infer<typeof turnProgressSchema>;

const logEntrySchema = z.discriminatedUnion('t', [
  z.object({ t: z.literal('begin'), turn: begunTurnSchema }),
  z.object({ t: z.literal('progress'), at: z.string(), turns: z.array(turnProgressSchema) }),
  z.object({ t: z.literal('row'), row: usageRecordSchema }),
]);
export type LogEntry = z.infer<typeof logEntrySchema>;

const CHECKSUM_CHARACTERS = 8;

/** One line: the CRC-32 of the JSON in eight hexadecimal digits, a space, the JSON. */
export const encodeLine = (entry: Exclude<LogEntry, { t: 'row' }>): string =>
  lineOf(stringifyStorable(entry));

/** The line of a row of which the JSON is known. */
export const encodeRow = ({ json }: Readonly<{ row: UsageRecord; json: string }>): string =>
  lineOf(`{"t":"row","row":${json}}`);

const lineOf = (json: string): string => `${checksumOf(json)} ${json}\n`;

export type DecodedLine =
  | { kind: 'entry'; entry: LogEntry }
  /** Cut off, or not as it was written. */
  | { kind: 'torn' }
  /** Whole, but of a form that this version does not know. */
  | { kind: 'unknown' };

export function decodeLine(line: string): DecodedLine {
  const json = line.slice(CHECKSUM_CHARACTERS + 1);
  if (line.slice(0, CHECKSUM_CHARACTERS) !== checksumOf(json)) return { kind: 'torn' };
  const parsed = logEntrySchema.safeParse(parseOrNull(json));
  return parsed.success ? { kind: 'entry', entry: parsed.data } : { kind: 'unknown' };
}

const checksumOf = (json: string): string => crc32(json).toString(16).padStart(CHECKSUM_CHARACTERS, '0');

function parseOrNull(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return null;
  }
}
