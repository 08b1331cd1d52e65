import { z } from 'zod';
import { parseObject } from '#app/settings/aws/parse-secret.ts';
import { SettingsError } from '#app/settings/load-settings.ts';

/**
 * The members of a secret as RDS and its rotation functions write it. The secret of a managed master user holds
 * `username` and `password` alone.
 * https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_secret_json_structure.html
 */
const schema = z.looseObject({
  username: z.string().min(1),
  password: z.string().min(1),
  host: z.string().min(1).optional(),
  port: z.coerce.number().int().min(1).max(65_535).optional(),
  dbname: z.string().min(1).optional(),
});

const SETTING = 'DATABASE_SECRET_ID';

/**
 * DATABASE_URL with the login of a database secret. Host, port, database and options are those of `url`; without one,
 * those of the secret. Throws SettingsError where a part is missing or given twice, and holds no value in its message.
 */
export function databaseUrlFrom(id: string, text: string | undefined, url: string | undefined): string {
  const parsed = schema.safeParse(parseObject(SETTING, id, text));
  if (!parsed.success) {
    const members = [...new Set(parsed.error.issues.map((issue) => issue.path.join('.')))].join(', ');
    throw new SettingsError(`${SETTING}: the secret "${id}" has no valid ${members}`);
  }
  const { username, password, host, port, dbname } = parsed.data;
  if (url === undefined && host === undefined) {
    throw new SettingsError(`${SETTING}: the secret "${id}" has no host; give one with DATABASE_URL`);
  }
  if (url !== undefined && !URL.canParse(url)) throw new SettingsError('DATABASE_URL: must be a URL');
  const target = new URL(
    url ?? `postgresql://${host}:${port ?? 5432}/${encodeURIComponent(dbname ?? 'postgres')}`,
  );
  if (target.password !== '') {
    throw new SettingsError(`DATABASE_URL: has a password, and ${SETTING} is set too; leave one of them out`);
  }
  target.username = encodeURIComponent(username);
  target.password = encodeURIComponent(password);
  return target.href;
}
