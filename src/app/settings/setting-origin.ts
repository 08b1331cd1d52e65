import { type Settings, settingsSchema } from '#app/settings/settings.ts';

export type SettingName = keyof Settings;

/** Where the value of a setting comes from; `secret` names the secret of Secrets Manager. */
export type SettingOrigin =
  | Readonly<{ kind: 'environment' }>
  | Readonly<{ kind: 'secret'; id: string }>
  | Readonly<{ kind: 'default' }>;

/** The environment's own value wins, then a secret's; otherwise the default stands. */
export function originOf(
  name: SettingName,
  environment: Readonly<Record<string, string | undefined>>,
  fromSecrets: ReadonlyMap<SettingName, string>,
): SettingOrigin {
  const id = fromSecrets.get(name);
  // The login of a database secret is put into the environment's URL.
  if (id !== undefined) return { kind: 'secret', id };
  return (environment[name] ?? '').trim() === '' ? { kind: 'default' } : { kind: 'environment' };
}

/** Whether a setting has this name; settings are named as their environment variables. */
export const isSettingName = (name: string): name is SettingName => Object.hasOwn(settingsSchema.shape, name);
