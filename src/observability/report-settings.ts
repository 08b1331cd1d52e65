import type { LiveSettings } from '#app/settings/live-settings.ts';
import type { Logger } from '#observability/logger.ts';

/**
 * Says at the start whose AWS credentials read the secrets, begins to follow the secrets, and logs what changes in them:
 * names of settings, never values. `SecretRefreshFailureCount` counts the times that they could not be read.
 */
export function reportSettings(live: LiveSettings, logger: Logger): void {
  if (live.aws === null) return;
  const { region, roleArn, credentials } = live.aws;
  logger.info(
    {
      event: 'secrets_loaded',
      secrets: [...live.settings.AWS_SECRETS_ID, ...databaseSecret(live)],
      region,
      role_arn: roleArn,
      credentials,
    },
    'settings were read from Secrets Manager',
  );
  live.watch({
    onReloaded: (names) =>
      logger.info({ event: 'secrets_reloaded', settings: names }, 'new values of a secret are in use'),
    onRestartNeeded: (names) =>
      logger.warn(
        { event: 'secrets_need_restart', settings: names },
        'a secret has new values that need a restart; the old ones stay in use',
      ),
    onRefreshFailed: (error) =>
      logger.error(
        { event: 'secrets_not_refreshed', err: error, metric: 'SecretRefreshFailureCount', value: 1 },
        'the secrets cannot be read or are not valid; the last good values stay in use',
      ),
    onRefreshRecovered: () =>
      logger.info({ event: 'secrets_refreshed' }, 'the secrets can be read again and are valid'),
  });
}

const databaseSecret = ({ settings }: LiveSettings): string[] =>
  settings.DATABASE_SECRET_ID === undefined ? [] : [settings.DATABASE_SECRET_ID];
