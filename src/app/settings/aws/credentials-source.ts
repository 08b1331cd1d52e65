/** What the start-up report says of the AWS credentials in use; no part of them is secret. */
export type AwsIdentity = Readonly<{
  region: string;
  /** AWS_ROLE_ARN, where it is set: IRSA sets it. */
  roleArn: string | null;
  /** The provider of the SDK's default chain that had credentials. */
  credentials: string;
}>;

/** The SDK marks where credentials came from with its feature names; the first that matches names the provider. */
const PROVIDERS: readonly (readonly [pattern: RegExp, name: string])[] = [
  [/WEB_ID/, 'web identity (IRSA)'],
  [/CREDENTIALS_HTTP/, 'container (Pod Identity)'],
  [/CREDENTIALS_IMDS/, 'instance metadata'],
  [/SSO/, 'SSO'],
  [/PROFILE/, 'profile'],
  [/PROCESS/, 'process'],
  [/ENV_VARS/, 'environment'],
];

/** The name of the provider that these credentials came from. */
export function credentialsSource(identity: object): string {
  const source = '$source' in identity ? identity.$source : undefined;
  const features = typeof source === 'object' && source !== null ? Object.keys(source) : [];
  for (const [pattern, name] of PROVIDERS) {
    if (features.some((feature) => pattern.test(feature))) return name;
  }
  return 'unknown';
}
