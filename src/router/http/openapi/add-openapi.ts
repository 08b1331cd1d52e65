import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import { createJsonSchemaTransform, createJsonSchemaTransformObject } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { type ApiDocument, completeDocument } from '#router/http/openapi/complete-document.ts';
import { takesIdempotencyKey, takesIfMatch } from '#router/http/openapi/operation-errors.ts';
import { nameSchemas } from '#router/http/openapi/schema-names.ts';
import type { RouterApp } from '#router/router-services.ts';

const VERSION = '0.1.0';

/** The name, in the place where the page's own logo would be. */
const LOGO =
  '<svg xmlns="http://www.w3.org/2000/svg" width="150" height="40" viewBox="0 0 150 40" fill="#fff">' +
  '<path d="M2 8h28v24H2zm4 4v16h4V12zm8 0v16h4V12zm8 0v16h4V12z" fill-rule="evenodd"/>' +
  '<text x="40" y="27" font-family="system-ui, sans-serif" font-size="20" font-weight="600">Bulkhead</text></svg>';

const zodToJsonConfig = { target: 'draft-2020-12', unrepresentable: 'any' } as const;
const toJsonSchema = createJsonSchemaTransform({ zodToJsonConfig });
const addSchemas = createJsonSchemaTransformObject({ zodToJsonConfig });

/** What every POST under `/admin`, and every upload, may carry; see `add-idempotent-answers.ts`. */
const IDEMPOTENCY_KEY = {
  type: 'string',
  minLength: 1,
  maxLength: 255,
  description: 'The same key with the same request is done once and answered the same for 24 hours.',
};

const IF_MATCH = {
  type: 'string',
  description:
    'The ETag of the version that was read: another one now is a 412. Without it, or `*`, any will do.',
};

const MODEL = {
  type: 'object',
  properties: { model: { type: 'string', description: 'As the list names it; it may hold slashes.' } },
  required: ['model'],
};

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What callers of the route are counted as; absent: nobody is asked who they are. */
    countedAs?: string;
  }
}

/** Collects the OpenAPI 3.1 document from the routes' schemas, and serves `/docs` from files of the package. */
export async function addOpenApi(app: RouterApp): Promise<void> {
  nameSchemas();
  /** By method and path, as the document writes them. */
  const countedAs = new Map<string, string>();
  /** Of parameters whose schema is a component, by operation and name: the plug-in drops what stands beside a reference. */
  const descriptions = new Map<string, string>();
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
      servers: [{ url: '/', description: 'The router that serves this document.' }],
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
          jwt: {
            type: 'http',
            scheme: 'bearer',
            bearerFormat: 'JWT',
            description: 'A token of an issuer that the deployment or the tenant trusts.',
          },
        },
      },
    },
    transform: (route) => {
      // A name that may hold slashes is a wildcard to the router, and a parameter to readers.
      const isModel = route.url === '/v1/models/*';
      const url = isModel ? '/v1/models/:model' : route.url;
      const transformed = toJsonSchema({ ...route, url });
      const path = url.replaceAll(/:(\w+)/g, '{$1}');
      const method = [route.route.method].flat().find((name) => name !== 'HEAD') ?? 'GET';
      const kind = route.route.config?.countedAs;
      if (kind !== undefined) countedAs.set(`${method} ${path}`, kind);
      const headers = {
        ...(takesIdempotencyKey({ method, path }) ? { 'idempotency-key': IDEMPOTENCY_KEY } : {}),
        ...(takesIfMatch({ method, path }) ? { 'if-match': IF_MATCH } : {}),
      };
      for (const part of [transformed.schema?.params, transformed.schema?.querystring]) {
        for (const [name, description] of descriptionsOf(part)) {
          descriptions.set(`${method} ${path} ${name}`, description);
        }
      }
      const params = isModel ? { params: MODEL } : {};
      const hasHeaders = Object.keys(headers).length > 0;
      return {
        ...transformed,
        schema: {
          ...transformed.schema,
          ...params,
          ...(hasHeaders ? { headers: { type: 'object', properties: headers } } : {}),
        },
      };
    },
    transformObject: (made) => {
      if (!('openapiObject' in made)) return made.swaggerObject;
      const document = addSchemas(made);
      // What the plug-in just made of the routes above: its type has all that OpenAPI could hold, references and all.
      completeDocument(document as ApiDocument, { countedAs, descriptions });
      return document;
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

const partSchema = z.looseObject({
  properties: z.record(z.string(), z.looseObject({ description: z.string().optional() })).default({}),
});

/** What the properties of a JSON schema are for, by their names. */
function descriptionsOf(schema: unknown): [string, string][] {
  const { properties } = partSchema.parse(schema ?? {});
  return Object.entries(properties).flatMap(([name, { description }]): [string, string][] =>
    description === undefined ? [] : [[name, description]],
  );
}
