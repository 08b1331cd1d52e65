import { resolve } from 'node:path';
import { openSettings } from '#app/settings/aws-settings.ts';
import type { LiveSettings } from '#app/settings/live-settings.ts';
import { SettingsError } from '#app/settings/load-settings.ts';
import { CliError } from '#cli/cli-error.ts';
import type { CliIo } from '#cli/cli-io.ts';

/** The settings of the commands that open a data directory or a database themselves; BULKHEAD_DATA_DIR is absolute. */
export async function readSettings(io: Pick<CliIo, 'env' | 'cwd'>): Promise<LiveSettings> {
  try {
    const live = await openSettings(io.env);
    const directory = resolve(io.cwd, live.settings.BULKHEAD_DATA_DIR);
    return { ...live, settings: { ...live.settings, BULKHEAD_DATA_DIR: directory } };
  } catch (error) {
    if (error instanceof SettingsError) throw new CliError(error.message, { cause: error });
    throw error;
  }
}
