import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { ModelList } from '#inference/openai/model-list.ts';

/**
 * Servers of one model (llama.cpp) answer by whatever name they are called, and what a model costs goes by its name:
 * so a name that the server does not list is refused before it is asked. The default model is the operator's word, and
 * a server that lists nothing decides for itself.
 */
export function createServedModels(options: {
  models: Pick<ModelList, 'read'>;
  defaultModel: string;
  /** How long a server that could not list its models is not asked for them again, milliseconds. */
  pauseMs: number;
  monotonicNow: () => number;
}): {
  /** Null where there is nothing to wait for. Rejects with `model_not_found`. */
  check(model: string, signal: AbortSignal): Promise<void> | null;
} {
  const { models, defaultModel, pauseMs, monotonicNow } = options;
  let pausedUntil = Number.NEGATIVE_INFINITY;

  async function checkListed(model: string, signal: AbortSignal): Promise<void> {
    let listed: readonly { id: string }[];
    try {
      listed = await models.read(signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof BulkheadError)) throw error;
      pausedUntil = monotonicNow() + pauseMs;
      return;
    }
    if (listed.length > 0 && !listed.some(({ id }) => id === model)) {
      throw new BulkheadError('model_not_found', `The inference engine has no model ${model}.`, {
        param: 'model',
      });
    }
  }

  return {
    check: (model, signal) =>
      model === defaultModel || monotonicNow() < pausedUntil ? null : checkListed(model, signal),
  };
}
