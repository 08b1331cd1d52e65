import type { AwsIdentity } from '#app/settings/aws/credentials-source.ts';
import type { SettingName, SettingOrigin } from '#app/settings/setting-origin.ts';
import type { Settings } from '#app/settings/settings.ts';

/**
 * Settings that a running process takes from a new version of its secrets: what reads them asks for the current value
 * each time it connects or calls. Any other change waits for a restart, and the log says so.
 */
export const RELOADABLE_SETTINGS = [
  'DATABASE_URL',
  'REDIS_URL',
  'INFERENCE_API_KEY',
  'GUARDRAIL_JUDGES',
  'OPERATOR_KEY',
] as const satisfies readonly SettingName[];

/** What a process reports about its secrets while it runs. Names of settings only, never values. */
export type SettingsEvents = Readonly<{
  /** New values are in use. */
  onReloaded?: (names: readonly SettingName[]) => void;
  /** A new version changed settings that need a restart; the old values stay in use. */
  onRestartNeeded?: (names: readonly SettingName[]) => void;
  /** The secrets could not be read, or their new version is not valid; the last good values stay in use. */
  onRefreshFailed?: (error: unknown) => void;
  /** They can be read again after that. */
  onRefreshRecovered?: () => void;
}>;

/** The settings of a process, and how they change while it runs. */
export type LiveSettings = Readonly<{
  /** As the process started: all that it builds once. */
  settings: Settings;
  /** As they are now; differs from `settings` in RELOADABLE_SETTINGS at most. */
  current(): Settings;
  originOf(name: SettingName): SettingOrigin;
  /** Whose AWS credentials read the secrets; null where none were read. */
  aws: AwsIdentity | null;
  /** Called after each change of `current()`. Returns what ends it. */
  onChange(listener: (settings: Settings) => void): () => void;
  /**
   * Looks at the secrets at once, as when a server refuses a credential. Calls at the same time share one look, and one
   * follows another after REFRESH_COOLDOWN_MS at the earliest. Resolves with whether values changed; never rejects.
   */
  refresh(): Promise<boolean>;
  /** Begins to look every AWS_SECRETS_REFRESH_SECONDS. Without secrets it does nothing. */
  watch(events: SettingsEvents): void;
  close(): void;
}>;

/** Settings that never change: tests, and processes without secrets. */
export function fixedSettings(
  settings: Settings,
  originOf: LiveSettings['originOf'] = () => ({ kind: 'default' }),
): LiveSettings {
  return {
    settings,
    current: () => settings,
    originOf,
    aws: null,
    onChange: () => () => {},
    refresh: async () => false,
    watch: () => {},
    close: () => {},
  };
}
