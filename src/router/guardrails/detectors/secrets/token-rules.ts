/** A credential that its issuer made recognisable. Repetition is bounded throughout, so a search is linear. */
export type TokenRule = Readonly<{
  kind: string;
  /** Text that every match holds, letter for letter: most texts hold none, and are not searched for the rest. */
  sign: string;
  pattern: RegExp;
  /** Group of the secret itself; 0 by default. */
  group?: number;
}>;

const rule = (kind: string, sign: string, pattern: RegExp, group = 0): TokenRule => ({
  kind,
  sign,
  pattern,
  group,
});

/** Formats as their issuers document them. Longest lengths are generous: formats grow. */
export const TOKEN_RULES: readonly TokenRule[] = [
  ...['AKIA', 'ASIA', 'ABIA', 'ACCA'].map((prefix) =>
    rule(
      'aws_access_key_id',
      prefix,
      new RegExp(`(?<![A-Za-z0-9])${prefix}[A-Z2-7]{16}(?![A-Za-z0-9])`, 'g'),
    ),
  ),
  ...['ghp_', 'gho_', 'ghu_', 'ghs_', 'ghr_'].map((prefix) =>
    rule('github_token', prefix, new RegExp(`(?<![A-Za-z0-9])${prefix}[A-Za-z0-9]{36,255}`, 'g')),
  ),
  rule('github_token', 'github_pat_', /(?<![A-Za-z0-9])github_pat_[A-Za-z0-9_]{60,244}/g),
  rule(
    'gitlab_token',
    'gl',
    /(?<![A-Za-z0-9])gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|soat|oas)-[A-Za-z0-9_.-]{20,300}/g,
  ),
  rule('slack_token', 'xox', /(?<![A-Za-z0-9])xox[abeoprs](?:\.xox[bp])?-[A-Za-z0-9-]{10,250}/g),
  rule('slack_token', 'xapp-', /(?<![A-Za-z0-9])xapp-[0-9]-[A-Za-z0-9-]{10,250}/g),
  rule(
    'slack_webhook',
    'hooks.slack.com',
    /hooks\.slack\.com\/(?:services|workflows|triggers)\/[A-Za-z0-9/_+-]{20,200}/g,
  ),
  rule('stripe_key', '_live_', /(?<![A-Za-z0-9])[sr]k_live_[A-Za-z0-9]{16,247}/g),
  rule('stripe_key', '_test_', /(?<![A-Za-z0-9])[sr]k_test_[A-Za-z0-9]{16,247}/g),
  rule('stripe_key', 'whsec_', /(?<![A-Za-z0-9])whsec_[A-Za-z0-9+/=]{24,100}/g),
  rule('google_api_key', 'AIza', /(?<![A-Za-z0-9])AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])/g),
  rule('google_oauth', 'GOCSPX-', /(?<![A-Za-z0-9])GOCSPX-[A-Za-z0-9_-]{28}/g),
  rule('google_oauth', 'ya29.', /(?<![A-Za-z0-9])ya29\.[A-Za-z0-9_-]{20,400}/g),
  // OpenAI, Anthropic, OpenRouter and the many that copy them: a long tail with digits in it, checked afterwards.
  rule('model_provider_key', 'sk-', /(?<![A-Za-z0-9_-])sk-(?:[a-z0-9]{2,10}-){0,3}[A-Za-z0-9_-]{20,300}/g),
  rule('huggingface_token', 'hf_', /(?<![A-Za-z0-9_])hf_[A-Za-z]{30,50}(?![A-Za-z0-9])/g),
  rule('npm_token', 'npm_', /(?<![A-Za-z0-9])npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])/g),
  rule('pypi_token', 'pypi-', /(?<![A-Za-z0-9])pypi-AgE[A-Za-z0-9_-]{40,400}/g),
  rule('sendgrid_key', 'SG.', /(?<![A-Za-z0-9])SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{32,64}/g),
  rule('twilio_key', 'SK', /(?<![A-Za-z0-9])SK[0-9a-f]{32}(?![A-Za-z0-9])/g),
  rule('mailgun_key', 'key-', /(?<![A-Za-z0-9-])key-[0-9a-f]{32}(?![A-Za-z0-9])/g),
  rule('digitalocean_token', '_v1_', /(?<![A-Za-z0-9])do[opr]_v1_[0-9a-f]{64}/g),
  rule('shopify_token', 'shp', /(?<![A-Za-z0-9])shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}/g),
  rule('databricks_token', 'dapi', /(?<![A-Za-z0-9])dapi[0-9a-f]{32}(?:-[0-9])?(?![A-Za-z0-9])/g),
  rule('vault_token', 'hv', /(?<![A-Za-z0-9])hv[sbr]\.[A-Za-z0-9_-]{24,300}/g),
  rule('grafana_token', 'gl', /(?<![A-Za-z0-9])gl(?:sa|c)_[A-Za-z0-9+/=_]{32,400}/g),
  rule('linear_key', 'lin_', /(?<![A-Za-z0-9])lin_(?:api|oauth)_[A-Za-z0-9]{32,64}/g),
  rule('atlassian_token', 'ATATT3', /(?<![A-Za-z0-9])ATATT3[A-Za-z0-9_=-]{40,250}/g),
  rule('telegram_token', ':AA', /(?<![A-Za-z0-9])[0-9]{8,10}:AA[A-Za-z0-9_-]{33}(?![A-Za-z0-9_-])/g),
  rule('azure_storage_key', 'AccountKey=', /AccountKey=([A-Za-z0-9+/]{64,88}={0,2})/g, 1),
  rule('bulkhead_key', 'bk_', /(?<![A-Za-z0-9])bk_[0-9a-z]{26}_[A-Za-z0-9_-]{43}/g),
  // The password of an address such as postgres://user:password@host.
  rule(
    'connection_password',
    '://',
    /[a-z][a-z0-9+.-]{1,20}:\/\/[^\s:/?#@"'<>]{0,64}:([^\s@/"'<>]{3,128})@[A-Za-z0-9[]/gi,
    1,
  ),
];
