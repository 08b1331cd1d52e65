import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import { createJsonSchemaTransform } from 'fastify-type-provider-zod';
import type { RouterApp } from '#router/router-services.ts';

const VERSION = '0.1.0';

/** The name, in the place where the page's own logo would be. */
const LOGO =
  '<svg xmlns="http://www.w3.org/2000/svg" width="150" height="40" viewBox="0 0 150 40" fill="#fff">' +
  '<path d="M2 8h28v24H2zm4 4v16h4V12zm8 0v16h4V12zm8 0v16h4V12z" fill-rule="evenodd"/>' +
  '<text x="40" y="27" font-family="system-ui, sans-serif" font-size="20" font-weight="600">Bulkhead</text></svg>';

const toJsonSchema = createJsonSchemaTransform({
  zodToJsonConfig: { target: 'draft-2020-12', unrepresentable: 'any' },
});

/** What every POST under `/admin`, and every upload, may carry; see `add-idempotent-answers.ts`. */
const IDEMPOTENCY = {
  type: 'object',
  properties: {
    'idempotency-key': {
      type: 'string',
      minLength: 1,
      maxLength: 255,
      description: 'The same key with the same request is done once and answered the same for 24 hours.',
    },
  },
};

const MODEL = {
  type: 'object',
  properties: { model: { type: 'string', description: 'As the list names it; it may hold slashes.' } },
  required: ['model'],
};

const UPLOADS: ReadonlySet<string> = new Set(['/v1/vault/documents', '/v1/files']);

/** Collects the OpenAPI 3.1 document from the routes' schemas, and serves `/docs` from files of the package. */
export async function addOpenApi(app: RouterApp): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Bulkhead',
        version: VERSION,
        description:
          'A multi-tenant LLM chat platform. Every call names its tenant by its credential alone. Errors are OpenAI’s ' +
          'envelope under `/v1` and RFC 9457 problems under `/admin`; the request id is in both, and in `x-request-id`.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      tags: [
        { name: 'Chat', description: 'Turns, and the models that run them' },
        { name: 'Vault', description: 'The tenant’s documents' },
        { name: 'Conversations', description: 'The caller’s own' },
        { name: 'Usage', description: 'The caller’s own' },
        { name: 'Administration', description: 'Operators, and tenant admins within their tenant' },
        { name: 'Service', description: 'Probes' },
      ],
      components: {
        securitySchemes: {
          apiKey: { type: 'http', scheme: 'bearer', description: 'An API key, `bk_<id>_<secret>`.' },
        },
      },
    },
    transform: (route) => {
      // A name that may hold slashes is a wildcard to the router, and a parameter to readers.
      const isModel = route.url === '/v1/models/*';
      const url = isModel ? '/v1/models/:model' : route.url;
      const transformed = toJsonSchema({ ...route, url });
      if (isModel) return { ...transformed, schema: { ...transformed.schema, params: MODEL } };
      const takesKey = route.route.method === 'POST' && (url.startsWith('/admin/') || UPLOADS.has(route.url));
      return takesKey
        ? { ...transformed, schema: { ...transformed.schema, headers: IDEMPOTENCY } }
        : transformed;
    },
  });
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: true,
    theme: { title: 'Bulkhead API' },
    logo: { type: 'image/svg+xml', content: Buffer.from(LOGO), href: '/' },
    uiConfig: { deepLinking: true, persistAuthorization: false, tryItOutEnabled: true },
  });
}
