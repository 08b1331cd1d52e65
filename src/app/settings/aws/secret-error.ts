import { SettingsError } from '#app/settings/load-settings.ts';

/** What Secrets Manager may answer, by the name of the SDK's error, and what to do about it. */
const REASONS: Readonly<Record<string, (region: string) => string>> = {
  ResourceNotFoundException: (region) => `does not exist in ${region}`,
  AccessDeniedException: () =>
    'may not be read: the role needs secretsmanager:GetSecretValue on it, and kms:Decrypt on its key',
  DecryptionFailure: () => 'cannot be decrypted: the role needs kms:Decrypt on its key',
  InvalidRequestException: () => 'cannot be read in its present state (is it scheduled for deletion?)',
  CredentialsProviderError: () =>
    'cannot be read: no AWS credentials were found (a web identity, Pod Identity, or the environment)',
  UnrecognizedClientException: () => 'cannot be read: AWS refused the credentials',
  InvalidSignatureException: () => 'cannot be read: AWS refused the signature of the credentials',
  ExpiredTokenException: () => 'cannot be read: the AWS credentials have expired',
  InvalidIdentityTokenException: () => 'cannot be read: AWS STS refused the web identity token',
};

/**
 * The one line that a start prints when a secret cannot be read. It names the setting, the secret and the reason, and
 * holds nothing of what the secret contains.
 */
export function secretError(setting: string, id: string, region: string, cause: unknown): SettingsError {
  const name = cause instanceof Error ? cause.name : '';
  const reason =
    REASONS[name]?.(region) ??
    `cannot be read: Secrets Manager in ${region} is unavailable (${describe(cause)})`;
  return new SettingsError(`${setting}: the secret "${id}" ${reason}`, { cause });
}

function describe(cause: unknown): string {
  if (!(cause instanceof Error)) return 'unknown error';
  const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.name;
  return code;
}
