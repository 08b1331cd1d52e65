import { type AwsIdentity, credentialsSource } from '#app/settings/aws/credentials-source.ts';
import { secretError } from '#app/settings/aws/secret-error.ts';

/** A secret's current version. */
export type SecretVersion = Readonly<{
  /** The secret's name or ARN, as the setting has it. */
  id: string;
  /** Changes with every rotation. */
  versionId: string;
  /** undefined for a binary secret. */
  text: string | undefined;
}>;

export type SecretsReader = Readonly<{
  /**
   * The current versions, in the order of `ids`. Rejects with a SettingsError that names `setting` and the secret, after
   * the SDK's three tries of `CALL_MS` each.
   */
  read(setting: string, ids: readonly string[], signal?: AbortSignal): Promise<SecretVersion[]>;
  /** Who is reading. Rejects where no provider has credentials. */
  identity(): Promise<AwsIdentity>;
  close(): void;
}>;

const CONNECT_MS = 2_000;
const CALL_MS = 5_000;

/**
 * Secrets Manager through the SDK's default credential chain: environment, web identity (IRSA), Pod Identity, and the
 * rest. The SDK is loaded here, and not by processes that name no secret.
 */
export async function openSecretsReader(options: {
  region: string;
  roleArn: string | undefined;
}): Promise<SecretsReader> {
  const { region, roleArn } = options;
  const [{ GetSecretValueCommand, SecretsManagerClient }, { NodeHttpHandler }] = await Promise.all([
    import('@aws-sdk/client-secrets-manager'),
    import('@smithy/node-http-handler'),
  ]);
  const client = new SecretsManagerClient({
    region,
    maxAttempts: 3,
    requestHandler: new NodeHttpHandler({
      connectionTimeout: CONNECT_MS,
      requestTimeout: CALL_MS,
      throwOnRequestTimeout: true,
    }),
  });

  async function readOne(
    setting: string,
    id: string,
    signal: AbortSignal | undefined,
  ): Promise<SecretVersion> {
    try {
      const answer = await client.send(
        new GetSecretValueCommand({ SecretId: id }),
        signal === undefined ? {} : { abortSignal: signal },
      );
      return { id, versionId: answer.VersionId ?? '', text: answer.SecretString };
    } catch (error) {
      throw secretError(setting, id, region, error);
    }
  }

  return {
    read: (setting, ids, signal) => Promise.all(ids.map((id) => readOne(setting, id, signal))),
    async identity() {
      const credentials = await client.config.credentials();
      return { region, roleArn: roleArn ?? null, credentials: credentialsSource(credentials) };
    },
    close: () => client.destroy(),
  };
}
