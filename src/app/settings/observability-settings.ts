import { z } from 'zod';
import { tenantIdSchema } from '#app/ids.ts';
import { commaList, flag, keyValueList, milliseconds } from '#app/settings/setting-types.ts';

/** What `PutRetentionPolicy` takes. */
const LOG_RETENTION_DAYS = [
  1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1_096, 1_827, 2_192, 2_557, 2_922, 3_288,
  3_653,
];

/** Settings of metrics, traces, log lines, and AWS: a part of `settingsSchema`. */
export const observabilitySettings = {
  METRICS_PORT: z.coerce
    .number()
    .int()
    .min(0)
    .max(65_535)
    .optional()
    .describe(
      'Port, on HOST, on which Prometheus reads `/metrics`; 0 takes a free one. Anybody who reaches it may read it. Absent: none.',
    ),
  METRICS_TENANTS: commaList
    .pipe(
      z.union([z.tuple([z.literal('*')]).transform(() => '*' as const), z.array(tenantIdSchema).max(1_000)]),
    )
    .describe(
      'Tenants that have metrics of their own beside those of all, with commas between; `*`: all, and each is billed by its metrics. Absent: none; the log tells of each anyway.',
    ),
  OTEL_EXPORTER_OTLP_ENDPOINT: z
    .url({ protocol: /^https?$/ })
    .optional()
    .describe(
      'OpenTelemetry collector to which traces are sent (OTLP over HTTP, Protobuf): `http://jaeger:4318`; `/v1/traces` is put behind it. Absent: no traces. See docs/tracing.md.',
    ),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: z
    .url({ protocol: /^https?$/ })
    .optional()
    .describe('The whole URL for traces, instead of OTEL_EXPORTER_OTLP_ENDPOINT.'),
  OTEL_EXPORTER_OTLP_HEADERS: keyValueList.describe(
    'Headers of calls to the collector, as `name=value` with commas between; values are URL-encoded.',
  ),
  OTEL_EXPORTER_OTLP_TIMEOUT: milliseconds
    .default(10_000)
    .describe('Longest that one call to the collector may take, milliseconds.'),
  OTEL_EXPORTER_OTLP_PROTOCOL: z
    .enum(['http/protobuf'])
    .default('http/protobuf')
    .describe('Protocol of the collector; there is one.'),
  OTEL_EXPORTER_OTLP_AWS_SIGV4: flag
    .default(false)
    .describe(
      '`on`: sign calls with AWS credentials, for `https://xray.<region>.amazonaws.com/v1/traces`. Needs AWS_REGION.',
    ),
  OTEL_SERVICE_NAME: z
    .string()
    .optional()
    .describe(
      'Name of the service in traces. Default: `request-router`, `orchestrator`, `rag-service` or `bulkhead`.',
    ),
  OTEL_RESOURCE_ATTRIBUTES: keyValueList.describe(
    'Attributes of everything in traces, as `name=value` with commas between: `deployment.environment.name=production`.',
  ),
  OTEL_TRACES_SAMPLER: z
    .enum([
      'parentbased_traceidratio',
      'parentbased_always_on',
      'parentbased_always_off',
      'traceidratio',
      'always_on',
      'always_off',
    ])
    .default('parentbased_traceidratio')
    .describe(
      'Which traces are recorded: `parentbased_`: as the caller decided; else by the ratio, all, or none.',
    ),
  OTEL_TRACES_SAMPLER_ARG: z.coerce
    .number()
    .min(0)
    .max(1)
    .default(0.05)
    .describe('Ratio of traces that are recorded. Failed and refused requests are recorded beside them.'),
  OTEL_TRACES_EXPORTER: z.enum(['otlp', 'none']).default('otlp').describe('`none`: no traces.'),
  OTEL_SDK_DISABLED: flag.default(false).describe('`true`: no traces.'),
  METRICS_MAX_TENANTS: z.coerce
    .number()
    .int()
    .min(1)
    .max(10_000)
    .default(100)
    .describe(
      'Tenants that have metrics of their own, at most: with `METRICS_TENANTS=*` the busiest, the rest are counted together.',
    ),
  CLOUDWATCH_METRICS: z
    .enum(['off', 'emf', 'api'])
    .default('off')
    .describe(
      '`emf`: lines of the log carry their figures in the embedded metric format, of which CloudWatch makes metrics wherever the log reaches it. `api`: they are sent with PutMetricData, once a minute. See docs/observability.md.',
    ),
  CLOUDWATCH_NAMESPACE: z
    .string()
    .regex(/^(?!AWS\/|:)[A-Za-z0-9._\-/#:]{1,255}$/, 'must be a namespace of CloudWatch, and not AWS’s own')
    .default('multi-tenant-chatbot')
    .describe('Namespace of the metrics.'),
  CLOUDWATCH_LOG_GROUP: z
    .string()
    .regex(/^[A-Za-z0-9._\-/#]{1,512}$/, 'must be the name of a log group')
    .optional()
    .describe(
      'Log group of CloudWatch to which log lines are sent, and not to stdout unless it is unavailable. Made where it is missing. Absent: they go to stdout, from where an agent may take them.',
    ),
  CLOUDWATCH_LOG_RETENTION_DAYS: z.coerce
    .number()
    .refine((days) => LOG_RETENTION_DAYS.includes(days), `must be one of ${LOG_RETENTION_DAYS.join(', ')}`)
    .default(90)
    .describe('How long a log group that is made keeps its lines, days. One that is there is left as it is.'),
  AWS_REGION: z
    .string()
    .optional()
    .describe(
      'AWS region of CloudWatch and Secrets Manager. Needed with CLOUDWATCH_METRICS=api, CLOUDWATCH_LOG_GROUP, AWS_SECRETS_ID and DATABASE_SECRET_ID.',
    ),
  AWS_ROLE_ARN: z
    .string()
    .regex(/^arn:aws[a-z-]*:iam::\d{12}:role\/.+$/, 'must be the ARN of an IAM role')
    .optional()
    .describe(
      'IAM role that the process assumes with the token in `AWS_WEB_IDENTITY_TOKEN_FILE`. EKS sets both for a service account with a role (IRSA).',
    ),
  AWS_SECRETS_ID: commaList
    .pipe(z.array(z.string().max(2_048)).max(10))
    .describe(
      'Secrets of AWS Secrets Manager, by name or ARN with commas between, that hold settings: each a JSON object whose members are settings of this page. The environment wins over them. See docs/aws-settings.md.',
    ),
  DATABASE_SECRET_ID: z
    .string()
    .max(2_048)
    .optional()
    .describe(
      'Secret of AWS Secrets Manager with the login of the database, as RDS writes and rotates it (`username`, `password`, and `host`, `port`, `dbname` where DATABASE_URL is absent).',
    ),
  AWS_SECRETS_REFRESH_SECONDS: z.coerce
    .number()
    .int()
    .min(1)
    .max(86_400)
    .default(60)
    .describe('How often the secrets are looked at for a new version, seconds, give or take a tenth.'),
};
