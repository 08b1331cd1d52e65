import type { SettingName } from '#app/settings/setting-origin.ts';
import type { Settings } from '#app/settings/settings.ts';

/** Settings whose values are never shown: not by a command, a log line or an error. */
const SECRETS: ReadonlySet<SettingName> = new Set([
  'API_KEY_PEPPER',
  'CACHE_SALT_SECRET',
  'INTERNAL_TOKEN_PRIVATE_KEY',
  'OPERATOR_KEY',
  'INFERENCE_API_KEY',
  'OTEL_EXPORTER_OTLP_HEADERS',
]);

/** URLs whose login has a password. */
const URLS_WITH_PASSWORD: ReadonlySet<SettingName> = new Set([
  'DATABASE_URL',
  'MIGRATION_DATABASE_URL',
  'REDIS_URL',
  'ORCHESTRATOR_URL',
  'RAG_SERVICE_URL',
  'INFERENCE_BASE_URL',
]);

const MASK = '********';
const IS_SECRET_MEMBER = /(?:key|secret|token|password)$/i;

/**
 * A setting as it may be shown: secrets masked whole, in URLs the password, in lists of objects the members that are
 * keys. null where it has no value.
 */
export function shownSetting(name: SettingName, settings: Settings): string | null {
  const value: unknown = settings[name];
  if (value === undefined || value === null || (Array.isArray(value) && value.length === 0)) return null;
  if (SECRETS.has(name)) return MASK;
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  if (typeof value !== 'string')
    return typeof value === 'object' ? JSON.stringify(value, maskKeys) : String(value);
  return URLS_WITH_PASSWORD.has(name) ? withoutPassword(value) : value;
}

function withoutPassword(url: string): string {
  if (!URL.canParse(url)) return MASK;
  const shown = new URL(url);
  if (shown.password !== '') shown.password = MASK;
  for (const name of shown.searchParams.keys()) {
    if (IS_SECRET_MEMBER.test(name)) shown.searchParams.set(name, MASK);
  }
  return shown.href;
}

const maskKeys = (member: string, value: unknown): unknown =>
  typeof value === 'string' && IS_SECRET_MEMBER.test(member) ? MASK : value;

export type ServiceName = 'router' | 'orchestrator' | 'rag';
const [ROUTER, ORCHESTRATOR, RAG] = [['router'], ['orchestrator'], ['rag']] as const;
const ALL = ['router', 'orchestrator', 'rag'] as const;

/** The services that read a setting; none: only `bulkhead up` does. */
export const SERVICES_OF_SETTING: Readonly<Record<SettingName, readonly ServiceName[]>> = {
  NODE_ENV: ALL,
  HOST: ALL,
  PORT: ALL,
  LOG_LEVEL: ALL,
  METRICS_PORT: ALL,
  METRICS_TENANTS: ALL,
  METRICS_MAX_TENANTS: ALL,
  OTEL_EXPORTER_OTLP_ENDPOINT: ALL,
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: ALL,
  OTEL_EXPORTER_OTLP_HEADERS: ALL,
  OTEL_EXPORTER_OTLP_TIMEOUT: ALL,
  OTEL_EXPORTER_OTLP_PROTOCOL: ALL,
  OTEL_EXPORTER_OTLP_AWS_SIGV4: ALL,
  OTEL_SERVICE_NAME: ALL,
  OTEL_RESOURCE_ATTRIBUTES: ALL,
  OTEL_TRACES_SAMPLER: ALL,
  OTEL_TRACES_SAMPLER_ARG: ALL,
  OTEL_TRACES_EXPORTER: ALL,
  OTEL_SDK_DISABLED: ALL,
  CLOUDWATCH_METRICS: ALL,
  CLOUDWATCH_NAMESPACE: ALL,
  CLOUDWATCH_LOG_GROUP: ALL,
  CLOUDWATCH_LOG_RETENTION_DAYS: ALL,
  AWS_REGION: ALL,
  AWS_ROLE_ARN: ALL,
  AWS_SECRETS_ID: ALL,
  DATABASE_SECRET_ID: ALL,
  AWS_SECRETS_REFRESH_SECONDS: ALL,
  BULKHEAD_DATA_DIR: ['router', 'rag'],
  BULKHEAD_DEMO: [],
  DATABASE_URL: ALL,
  DATABASE_POOL_SIZE: ALL,
  DATABASE_STATEMENT_TIMEOUT_MS: ALL,
  DATABASE_MIGRATE: ALL,
  MIGRATION_DATABASE_URL: ALL,
  MIGRATION_LOCK_TIMEOUT_MS: ALL,
  MIGRATION_WAIT_MS: ALL,
  API_KEY_PEPPER: ROUTER,
  CACHE_SALT_SECRET: ORCHESTRATOR,
  INTERNAL_TOKEN_PRIVATE_KEY: ROUTER,
  INTERNAL_TOKEN_PUBLIC_KEY: ['orchestrator', 'rag'],
  OPERATOR_KEY: ROUTER,
  JWT_ISSUERS: ROUTER,
  CORS_ALLOWED_ORIGINS: ROUTER,
  TRUSTED_PROXIES: ROUTER,
  TRUST_TENANT_HEADER: ROUTER,
  REDIS_URL: ROUTER,
  REDIS_CLUSTER: ROUTER,
  REDIS_TIMEOUT_MS: ROUTER,
  ORCHESTRATOR_URL: ROUTER,
  ORCHESTRATOR_CONNECTIONS: ROUTER,
  RAG_SERVICE_URL: ['router', 'orchestrator'],
  RAG_CONNECTIONS: ROUTER,
  SERVICE_CALL_CONNECTIONS: ['router', 'orchestrator'],
  INFERENCE_BASE_URL: ORCHESTRATOR,
  INFERENCE_MODEL: ORCHESTRATOR,
  INFERENCE_CONTEXT_TOKENS: ORCHESTRATOR,
  INFERENCE_API_KEY: ORCHESTRATOR,
  INFERENCE_CACHE_SALT: ORCHESTRATOR,
  INFERENCE_CONNECTIONS: ORCHESTRATOR,
  INFERENCE_CONNECT_TIMEOUT_MS: ORCHESTRATOR,
  INFERENCE_FIRST_TOKEN_TIMEOUT_MS: ORCHESTRATOR,
  INFERENCE_IDLE_TIMEOUT_MS: ORCHESTRATOR,
  INFERENCE_MAX_ATTEMPTS: ORCHESTRATOR,
  ANSWER_TOKENS: ROUTER,
  ANSWER_TOKENS_BY_MODEL: ROUTER,
  MAX_ANSWER_BYTES: ORCHESTRATOR,
  CLIENT_STALL_TIMEOUT_MS: ROUTER,
  GUARDRAIL_JUDGES: ROUTER,
  PRICE_PER_MILLION_PROMPT_TOKENS_USD: ROUTER,
  PRICE_PER_MILLION_COMPLETION_TOKENS_USD: ROUTER,
  USAGE_LOG_DIR: ROUTER,
  USAGE_LOG_MAX_BYTES: ROUTER,
  USAGE_LOG_SYNC: ROUTER,
  MAX_BODY_BYTES: ALL,
  MAX_DOCUMENT_BYTES: ['router', 'rag'],
  TENANT_MAX_STORED_BYTES: RAG,
  TENANT_MAX_DOCUMENTS: RAG,
  INGEST_WORKERS: RAG,
  VAULT_SEARCHES: RAG,
  PARSER_TIMEOUT_MS: RAG,
  PARSER_MEMORY_MB: RAG,
  DRAIN_DELAY_MS: ALL,
  DRAIN_TIMEOUT_MS: ALL,
};
