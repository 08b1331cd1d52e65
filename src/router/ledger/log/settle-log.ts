import type { UsageRecord } from '#app/schemas/usage.ts';
import type { Logger } from '#observability/logger.ts';
import { type StorableUsage, storableUsage } from '#router/ledger/insert-usage.ts';
import type { BegunTurn, TurnProgress } from '#router/ledger/log/log-line.ts';
import { readSegment } from '#router/ledger/log/read-segment.ts';

type Unfinished = {
  turn: BegunTurn;
  progress: TurnProgress | null;
  /** When it was last heard of. */
  at: string;
};

/**
 * The rows of a process that is gone: those that it wrote, then one for each turn that it did not live to finish,
 * with the tokens that it had seen. The same log gives the same rows, however often it is read.
 */
export async function* settleLog(
  paths: readonly string[],
  logger: Logger,
): AsyncGenerator<StorableUsage, void> {
  const unfinished = new Map<string, Unfinished>();
  const finished = new Set<string>();
  for (const path of paths) {
    for await (const entry of readSegment(path, logger)) {
      if (entry.t === 'row') {
        unfinished.delete(entry.row.request_id);
        finished.add(entry.row.request_id);
        yield storableUsage(entry.row);
      } else if (entry.t === 'begin') {
        const { request_id } = entry.turn;
        // Begun again in a later segment: what is known of it stays.
        if (!unfinished.has(request_id) && !finished.has(request_id)) {
          unfinished.set(request_id, { turn: entry.turn, progress: null, at: entry.turn.at });
        }
      } else {
        for (const progress of entry.turns) {
          const known = unfinished.get(progress.request_id);
          if (known === undefined) continue;
          known.progress = progress;
          known.at = entry.at;
        }
      }
    }
  }
  for (const left of unfinished.values()) yield storableUsage(toAbortedRow(left));
}

/** The row of a turn that nobody finished. */
export function toAbortedRow({ turn, progress, at }: Readonly<Unfinished>): UsageRecord {
  const {
    prompt_tokens = 0,
    completion_tokens = 0,
    estimated_prompt_tokens = 0,
    cost_usd_estimate = 0,
    price_version = null,
  } = progress ?? {};
  return {
    request_id: turn.request_id,
    tenant_id: turn.tenant_id,
    user_id: turn.user_id,
    key_id: turn.key_id,
    route: progress?.route ?? turn.route,
    model: progress?.model ?? turn.model,
    token_usage: { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens },
    estimated_prompt_tokens,
    cost_usd_estimate,
    price_version,
    retrieval: null,
    latency_ms: Math.max(0, Date.parse(at) - Date.parse(turn.at)),
    status: 499,
    outcome: 'aborted',
    refusal_reason: null,
    created_at: turn.at,
  };
}
