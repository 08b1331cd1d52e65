import type { z } from 'zod';
import { plainMessage } from '#app/errors/plain-message.ts';
import { type Settings, settingsSchema } from '#app/settings/settings.ts';

/** Thrown at boot; its message names every variable that is wrong and why, and no value (some are secrets). */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
}

/** Variables as a process has them; `undefined` and empty ones are absent. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Parses the environment once, at boot. Variables that are no settings are ignored; empty ones are absent. `originOf` says
 * where a value came from that is not in the environment, for the message.
 */
export function loadSettings(
  environment: Environment,
  originOf: (name: string) => string | undefined = () => undefined,
): Settings {
  const present = Object.fromEntries(
    Object.keys(settingsSchema.shape)
      .map((name) => [name, environment[name]] as const)
      .filter(([, value]) => value !== undefined && value.trim() !== ''),
  );
  const parsed = settingsSchema.safeParse(present, { error: plainMessage });
  if (!parsed.success) throw new SettingsError(describe(parsed.error, originOf));
  const settings = parsed.data;
  refuseForeignTracing(environment);
  if (settings.INFERENCE_BASE_URL !== undefined && settings.INFERENCE_MODEL === undefined) {
    throw new SettingsError('INFERENCE_MODEL: is needed with INFERENCE_BASE_URL');
  }
  const needsAws = settings.CLOUDWATCH_METRICS === 'api' || settings.CLOUDWATCH_LOG_GROUP !== undefined;
  if (needsAws && settings.AWS_REGION === undefined) {
    throw new SettingsError(
      'AWS_REGION: is needed with CLOUDWATCH_METRICS=api and with CLOUDWATCH_LOG_GROUP',
    );
  }
  if (settings.TRUST_TENANT_HEADER && settings.TRUSTED_PROXIES.length === 0) {
    throw new SettingsError(
      'TRUSTED_PROXIES: is needed with TRUST_TENANT_HEADER, or anybody could be anybody',
    );
  }
  if (settings.TRUST_TENANT_HEADER && settings.CORS_ALLOWED_ORIGINS.includes('*')) {
    throw new SettingsError(
      'CORS_ALLOWED_ORIGINS: must name its origins with TRUST_TENANT_HEADER, or any page could ask in the name of who opens it',
    );
  }
  return Object.freeze(settings);
}

/** The LangChain library, which runs the turns, reads these by itself. */
const FOREIGN_TRACING = [
  'LANGSMITH_TRACING',
  'LANGSMITH_TRACING_V2',
  'LANGCHAIN_TRACING',
  'LANGCHAIN_TRACING_V2',
  'LANGCHAIN_VERBOSE',
];

/** No variable that lies around in an environment may hand every tenant's texts to somebody else, or to the log. */
function refuseForeignTracing(environment: Environment): void {
  const found = FOREIGN_TRACING.filter(
    (name) => !['', 'false', '0', 'off'].includes((environment[name] ?? '').trim().toLowerCase()),
  );
  if (found.length === 0) return;
  throw new SettingsError(
    `${found.join(', ')}: must not be set. LangChain would send all tenants' questions, passages and answers to a third party, or print them. Unset it to start.`,
  );
}

function describe(error: z.ZodError, originOf: (name: string) => string | undefined): string {
  const lines = error.issues.map((issue) => {
    const origin = originOf(String(issue.path[0] ?? ''));
    return `  ${issue.path.join('.')}${origin === undefined ? '' : ` (${origin})`}: ${issue.message}`;
  });
  return `Settings that are not valid:\n${lines.join('\n')}`;
}
