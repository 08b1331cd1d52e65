import { databaseUrlFrom } from '#app/settings/aws/database-secret.ts';
import { parseSettingsSecret } from '#app/settings/aws/parse-secret.ts';
import {
  openSecretsReader,
  type SecretsReader,
  type SecretVersion,
} from '#app/settings/aws/secrets-reader.ts';
import { watchSecrets } from '#app/settings/aws/watch-secrets.ts';
import { fixedSettings, type LiveSettings } from '#app/settings/live-settings.ts';
import { type Environment, loadSettings, SettingsError } from '#app/settings/load-settings.ts';
import { originOf, type SettingName } from '#app/settings/setting-origin.ts';
import type { Settings } from '#app/settings/settings.ts';

/** Where each secret setting came from, and the environment with the secrets' members in it. */
type Assembled = Readonly<{ settings: Settings; secretOf: ReadonlyMap<SettingName, string> }>;

export type OpenSettingsOptions = Readonly<{
  openReader?: (options: { region: string; roleArn: string | undefined }) => Promise<SecretsReader>;
  /** Monotonic milliseconds. */
  now?: () => number;
  /** From 0 up to, but not, 1. */
  random?: () => number;
}>;

/**
 * The settings of a process: the environment, then the secrets that AWS_SECRETS_ID and DATABASE_SECRET_ID name, then the
 * defaults. Rejects with a SettingsError of one clear line for a secret that is missing, denied or unreachable, a member
 * that is no setting, or a value that is not valid; no message holds a value.
 */
export async function openSettings(
  environment: Environment,
  options: OpenSettingsOptions = {},
): Promise<LiveSettings> {
  const { openReader = openSecretsReader, now = () => performance.now(), random = Math.random } = options;
  const { ids, databaseId } = secretsOf(environment);
  if (ids.length === 0 && databaseId === undefined) {
    return fixedSettings(loadSettings(environment), (name) => originOf(name, environment, new Map()));
  }
  const region = present(environment.AWS_REGION);
  if (region === undefined) {
    const setting = ids.length > 0 ? 'AWS_SECRETS_ID' : 'DATABASE_SECRET_ID';
    throw new SettingsError(`AWS_REGION: is needed with ${setting}`);
  }

  const reader = await openReader({ region, roleArn: present(environment.AWS_ROLE_ARN) });
  async function readAll(): Promise<{ general: SecretVersion[]; database: SecretVersion | undefined }> {
    const [general, database] = await Promise.all([
      reader.read('AWS_SECRETS_ID', ids),
      databaseId === undefined ? [] : reader.read('DATABASE_SECRET_ID', [databaseId]),
    ]);
    return { general, database: database[0] };
  }

  try {
    const { general, database } = await readAll();
    const first = assemble(environment, general, database);
    const aws = await reader.identity();
    const watched = watchSecrets({
      first: first.settings,
      firstVersions: versionsOf(general, database),
      intervalMs: first.settings.AWS_SECRETS_REFRESH_SECONDS * 1_000,
      now,
      random,
      async read() {
        const found = await readAll();
        const versions = versionsOf(found.general, found.database);
        return { versions, settings: () => assemble(environment, found.general, found.database).settings };
      },
    });
    return {
      settings: first.settings,
      aws,
      originOf: (name) => originOf(name, environment, first.secretOf),
      ...watched,
      close() {
        watched.close();
        reader.close();
      },
    };
  } catch (error) {
    reader.close();
    throw error;
  }
}

/** Which secrets the environment names; the rest of it is looked at when they are there. */
function secretsOf(environment: Environment): { ids: string[]; databaseId: string | undefined } {
  const ids = (environment.AWS_SECRETS_ID ?? '')
    .split(',')
    .map((id) => id.trim())
    .filter((id) => id !== '');
  return { ids: [...new Set(ids)], databaseId: present(environment.DATABASE_SECRET_ID) };
}

function assemble(
  environment: Environment,
  general: readonly SecretVersion[],
  database: SecretVersion | undefined,
): Assembled {
  const merged: Record<string, string | undefined> = { ...environment };
  const secretOf = new Map<SettingName, string>();
  for (const { id, text } of general) {
    for (const [name, value] of parseSettingsSecret(id, text)) {
      const other = secretOf.get(name);
      if (other !== undefined) {
        throw new SettingsError(`AWS_SECRETS_ID: ${name} is in two secrets, "${other}" and "${id}"`);
      }
      if (present(environment[name]) !== undefined) continue;
      secretOf.set(name, id);
      merged[name] = value;
    }
  }
  if (database !== undefined) {
    merged.DATABASE_URL = databaseUrlFrom(database.id, database.text, present(merged.DATABASE_URL));
    secretOf.set('DATABASE_URL', database.id);
  }
  const settings = loadSettings(merged, (name) => {
    const found = [...secretOf].find(([setting]) => setting === name);
    return found === undefined ? undefined : `in the secret "${found[1]}"`;
  });
  return { settings, secretOf };
}

/** One text that differs when any secret has another version. */
const versionsOf = (general: readonly SecretVersion[], database: SecretVersion | undefined): string =>
  JSON.stringify(
    [...general, ...(database === undefined ? [] : [database])].map(({ id, versionId }) => [id, versionId]),
  );

const present = (value: string | undefined): string | undefined =>
  value === undefined || value.trim() === '' ? undefined : value.trim();
