import type { LiveSettings } from '#app/settings/live-settings.ts';
import type { Logger } from '#observability/logger.ts';
import type { ApiKeyStore } from '#router/identity/api-key-store.ts';

const RETRY_MS = 5_000;

/**
 * Registers the operator's key again each time the settings hold another one, which revokes the one before. A database
 * that is down is tried again every RETRY_MS, with the key as of then. Returns what ends it.
 */
export function followOperatorKey(options: {
  live: Pick<LiveSettings, 'current' | 'onChange'>;
  /** The key that is registered. */
  registered: string | undefined;
  apiKeys: Pick<ApiKeyStore, 'registerOperatorKey'>;
  logger: Logger;
}): () => void {
  const { live, apiKeys, logger } = options;
  let { registered } = options;
  let isBusy = false;
  let ended = false;
  let timer: NodeJS.Timeout | undefined;

  async function register(): Promise<void> {
    const wanted = live.current().OPERATOR_KEY;
    if (isBusy || ended || wanted === undefined || wanted === registered) return;
    isBusy = true;
    clearTimeout(timer);
    try {
      const { key_id } = await apiKeys.registerOperatorKey(wanted);
      registered = wanted;
      logger.info({ event: 'operator_key_changed', key_id }, 'the operator’s key was replaced');
    } catch (error) {
      logger.error(
        { event: 'operator_key_not_changed', err: error, retry_ms: RETRY_MS },
        'the operator’s new key could not be registered; the old one stays valid until it is',
      );
      if (!ended) timer = setTimeout(() => void register(), RETRY_MS).unref();
      return;
    } finally {
      isBusy = false;
    }
    // It may have changed meanwhile.
    await register();
  }

  const stop = live.onChange(() => void register());
  return () => {
    ended = true;
    clearTimeout(timer);
    stop();
  };
}
