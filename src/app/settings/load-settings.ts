import type { z } from 'zod';
import { type Settings, settingsSchema } from '#app/settings/settings.ts';

/** Thrown at boot; its message names every variable that is wrong and why, and no value (some are secrets). */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
}

/** Parses the environment once, at boot. Variables that are no settings are ignored; empty ones are absent. */
export function loadSettings(environment: Readonly<Record<string, string | undefined>>): Settings {
  const present = Object.fromEntries(
    Object.keys(settingsSchema.shape)
      .map((name) => [name, environment[name]] as const)
      .filter(([, value]) => value !== undefined && value.trim() !== ''),
  );
  const parsed = settingsSchema.safeParse(present);
  if (!parsed.success) throw new SettingsError(describe(parsed.error));
  const settings = parsed.data;
  if (settings.INFERENCE_BASE_URL !== undefined && settings.INFERENCE_MODEL === undefined) {
    throw new SettingsError('INFERENCE_MODEL: is needed with INFERENCE_BASE_URL');
  }
  if (settings.TRUST_TENANT_HEADER && settings.TRUSTED_PROXIES.length === 0) {
    throw new SettingsError(
      'TRUSTED_PROXIES: is needed with TRUST_TENANT_HEADER, or anybody could be anybody',
    );
  }
  return Object.freeze(settings);
}

function describe(error: z.ZodError): string {
  const lines = error.issues.map((issue) => `  ${issue.path.join('.')}: ${issue.message}`);
  return `The environment has settings that are not valid:\n${lines.join('\n')}`;
}
