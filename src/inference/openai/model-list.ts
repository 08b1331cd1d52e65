import type { Pool } from 'undici';
import { z } from 'zod';
import { atMostEvery } from '#app/at-most-every.ts';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { parseEntries, type SkippedEntries } from '#app/parse-entries.ts';
import type { EngineModel } from '#app/services/orchestrator-service.ts';
import { untilAborted } from '#app/until-aborted.ts';
import { connectionFailure, failureOf, readComplaint } from '#inference/openai/engine-failure.ts';
import { readBounded } from '#inference/openai/read-bounded.ts';

const MAX_LIST_BYTES = 4 * 1_024 * 1_024;

const modelListSchema = z.object({ data: z.array(z.unknown()) });
const modelSchema = z.looseObject({
  id: z.string().min(1),
  // A model is known by its id: what else is odd about it is left out.
  owned_by: z.string().nullish().catch(null),
  created: z.number().nullish().catch(null),
});
/** Between two reports of entries that were left out. */
const REPORT_EVERY_MS = 60_000;

export type ModelList = Readonly<{
  /** At most `freshMs` old. Callers at the same time share one call, and each may leave it alone. */
  read(signal: AbortSignal): Promise<readonly EngineModel[]>;
  /** Asks the server now. */
  refresh(signal: AbortSignal): Promise<readonly EngineModel[]>;
  /** As it was last told, however long ago; none where it never was. */
  readonly last: readonly EngineModel[];
}>;

/** `GET /models` of an OpenAI-compatible server. */
export function createModelList(options: {
  pool: Pool;
  path: string;
  /** Read for every call: a key may change meanwhile. */
  headers: () => Readonly<Record<string, string>>;
  timeoutMs: number;
  freshMs: number;
  monotonicNow: () => number;
  /** Told, at most once a minute, of entries that name no model. */
  onSkipped?: (skipped: SkippedEntries) => void;
}): ModelList {
  const { pool, path, headers, timeoutMs, freshMs, monotonicNow } = options;
  const onSkipped = atMostEvery(REPORT_EVERY_MS, monotonicNow, (skipped: SkippedEntries) =>
    options.onSkipped?.(skipped),
  );
  let known: { models: readonly EngineModel[]; at: number } | undefined;
  let underWay: Promise<readonly EngineModel[]> | undefined;

  async function fetchModels(): Promise<readonly EngineModel[]> {
    const { statusCode, body } = await pool.request({
      path,
      method: 'GET',
      headers: { accept: 'application/json', ...headers() },
      // Of its own, not a caller's: others may wait for the same answer.
      signal: AbortSignal.timeout(timeoutMs),
    });
    const text = await readBounded(body, MAX_LIST_BYTES);
    const value = parseOrUndefined(text);
    if (statusCode !== 200) {
      const plain = { status: statusCode, message: text.slice(0, 1_000), type: null, param: null };
      throw failureOf({ ...(readComplaint(value, statusCode) ?? plain), status: statusCode }, '');
    }
    const parsed = modelListSchema.safeParse(value);
    if (!parsed.success) {
      throw new BulkheadError('engine_error', 'The inference engine returned an invalid list of models.', {
        cause: parsed.error,
      });
    }
    const models = parseEntries(modelSchema, parsed.data.data, onSkipped).map(
      ({ id, owned_by, created }) => ({
        id,
        owned_by: owned_by ?? 'engine',
        created: Math.max(0, Math.floor(created ?? 0)),
      }),
    );
    known = { models, at: monotonicNow() };
    return models;
  }

  async function fetchTranslated(): Promise<readonly EngineModel[]> {
    try {
      return await fetchModels();
    } catch (error) {
      if (error instanceof Error && error.name === 'TimeoutError') {
        throw new BulkheadError('engine_timeout', 'The inference engine did not list its models in time.', {
          cause: error,
        });
      }
      throw connectionFailure(error, false).failure;
    }
  }

  const refresh = (signal: AbortSignal) => {
    underWay ??= fetchTranslated().finally(() => {
      underWay = undefined;
    });
    return untilAborted(underWay, signal);
  };
  return {
    refresh,
    get last() {
      return known?.models ?? [];
    },
    async read(signal) {
      signal.throwIfAborted();
      if (known !== undefined && monotonicNow() - known.at < freshMs) return known.models;
      return refresh(signal);
    },
  };
}

function parseOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
