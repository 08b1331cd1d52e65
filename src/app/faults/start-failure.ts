import { DataDirectoryError } from '#app/data-directory/data-directory-error.ts';
import { describeFault } from '#app/faults/describe-fault.ts';
import { SettingsError } from '#app/settings/load-settings.ts';

/** What a process says that could not start: one line for what its operator can mend, the stack for a fault of ours. */
export function startFailure(error: unknown): string {
  if (error instanceof SettingsError || error instanceof DataDirectoryError) return error.message;
  return describeFault(error) ?? (error instanceof Error ? (error.stack ?? error.message) : String(error));
}
