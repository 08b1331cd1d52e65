import { SettingsError } from '#app/settings/load-settings.ts';
import { isSettingName } from '#app/settings/setting-origin.ts';
import type { Settings } from '#app/settings/settings.ts';

/** Settings that decide how secrets are found, and so cannot be in one. */
const NOT_IN_SECRETS: ReadonlySet<string> = new Set([
  'AWS_SECRETS_ID',
  'AWS_SECRETS_REFRESH_SECONDS',
  'AWS_REGION',
  'AWS_ROLE_ARN',
  'DATABASE_SECRET_ID',
]);

/**
 * The members of a secret as text, as the environment would give them: objects and lists (`JWT_ISSUERS`) become JSON
 * again, null and empty members are absent. Throws SettingsError for anything but a JSON object whose members are
 * settings; its message holds the names of members, never a value.
 */
export function parseSettingsSecret(id: string, text: string | undefined): Map<keyof Settings, string> {
  const members = parseObject('AWS_SECRETS_ID', id, text);
  const found = new Map<keyof Settings, string>();
  for (const [name, value] of Object.entries(members)) {
    if (!isSettingName(name)) {
      throw new SettingsError(
        `AWS_SECRETS_ID: the member ${JSON.stringify(name)} of the secret "${id}" is not a setting`,
      );
    }
    if (NOT_IN_SECRETS.has(name)) {
      throw new SettingsError(
        `AWS_SECRETS_ID: ${name} cannot be in the secret "${id}": it says where secrets are`,
      );
    }
    const asText = textOf(value);
    if (asText !== '') found.set(name, asText);
  }
  return found;
}

/** A JSON object from the text of a secret. */
export function parseObject(setting: string, id: string, text: string | undefined): Record<string, unknown> {
  if (text === undefined) {
    throw new SettingsError(`${setting}: the secret "${id}" is binary; a JSON object as text is expected`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's own message quotes the text.
    throw new SettingsError(`${setting}: the secret "${id}" is not JSON`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new SettingsError(`${setting}: the secret "${id}" is not a JSON object`);
  }
  return { ...value };
}

function textOf(value: unknown): string {
  if (value === null || value === undefined) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
