import { z } from 'zod';
import { dereference } from './dereference.ts';
import { call } from './http-client.ts';

/** The parts of JSON Schema that the platform's document uses. */
export type JsonSchema = {
  type?: string | string[] | undefined;
  format?: string | undefined;
  enum?: unknown[] | undefined;
  const?: unknown;
  anyOf?: JsonSchema[] | undefined;
  oneOf?: JsonSchema[] | undefined;
  properties?: Record<string, JsonSchema> | undefined;
  required?: string[] | undefined;
  items?: JsonSchema | undefined;
  minItems?: number | undefined;
  minimum?: number | undefined;
};

const schemaSchema: z.ZodType<JsonSchema> = z.lazy(() =>
  z.looseObject({
    type: z.union([z.string(), z.array(z.string())]).optional(),
    format: z.string().optional(),
    enum: z.array(z.unknown()).optional(),
    const: z.unknown().optional(),
    anyOf: z.array(schemaSchema).optional(),
    oneOf: z.array(schemaSchema).optional(),
    properties: z.record(z.string(), schemaSchema).optional(),
    required: z.array(z.string()).optional(),
    items: schemaSchema.optional(),
    minItems: z.number().optional(),
    minimum: z.number().optional(),
  }),
);
const operationSchema = z.looseObject({
  security: z.array(z.unknown()).optional(),
  parameters: z
    .array(z.looseObject({ name: z.string(), in: z.enum(['path', 'query', 'header']), schema: schemaSchema }))
    .optional(),
  requestBody: z
    .looseObject({ content: z.record(z.string(), z.looseObject({ schema: schemaSchema.optional() })) })
    .optional(),
});
const documentSchema = z.looseObject({
  paths: z.record(z.string(), z.record(z.string(), operationSchema)),
});

export type Route = Readonly<{
  method: string;
  /** With parameters in braces: `/v1/vault/documents/{document_id}`. */
  path: string;
  isPublic: boolean;
  pathParameters: readonly string[];
  queryParameters: ReadonlyMap<string, JsonSchema>;
  /** The schema of a JSON body; null where there is none. */
  body: JsonSchema | null;
  /** The endpoint with these values in its path, for `call`. */
  endpoint(values: Readonly<Record<string, string>>, query?: string): string;
}>;

/** Ids that are the same word for every caller: each has one vector store. */
const FIXED: Readonly<Record<string, string>> = { vector_store_id: 'vs_vault' };

/** Every route that `/openapi.json` describes: what is added to the API is in these tests by itself. */
export async function readRoutes(url: string): Promise<Route[]> {
  const { paths } = documentSchema.parse(dereference((await call(url, 'GET /openapi.json')).json));
  return Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]): Route => {
      const verb = method.toUpperCase();
      const parameters = operation.parameters ?? [];
      return {
        method: verb,
        path,
        isPublic: operation.security?.length === 0,
        pathParameters: parameters.filter((one) => one.in === 'path').map(({ name }) => name),
        queryParameters: new Map(
          parameters.filter((one) => one.in === 'query').map(({ name, schema }) => [name, schema]),
        ),
        body: operation.requestBody?.content['application/json']?.schema ?? null,
        endpoint: (values, query = '') =>
          `${verb} ${path.replace(/\{([^}]+)\}/g, (_, name: string) => values[name] ?? FIXED[name] ?? 'missing')}${query}`,
      };
    }),
  );
}

/** A value that the schema accepts, as far as types go: what is required, and no more. */
export function minimalValue(schema: JsonSchema): unknown {
  if (schema.const !== undefined) return schema.const;
  if (schema.enum !== undefined) return schema.enum[0];
  const [alternative] = schema.anyOf ?? schema.oneOf ?? [];
  if (alternative !== undefined) return minimalValue(alternative);
  switch (Array.isArray(schema.type) ? schema.type[0] : schema.type) {
    case 'string':
      return schema.format === 'uri' ? 'https://example.com' : 'example';
    case 'integer':
    case 'number':
      return Math.max(1, schema.minimum ?? 1);
    case 'boolean':
      return false;
    case 'array':
      return (schema.minItems ?? 0) > 0 ? [minimalValue(schema.items ?? {})] : [];
    case 'object':
      return Object.fromEntries(
        (schema.required ?? []).map((name) => [name, minimalValue(schema.properties?.[name] ?? {})]),
      );
    default:
      return 'example';
  }
}
