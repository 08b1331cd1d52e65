import { bodyExampleOf } from '#router/http/openapi/body-examples.ts';
import { errorResponses, type SharedErrors } from '#router/http/openapi/error-responses.ts';
import { takesIdempotencyKey, takesIfMatch } from '#router/http/openapi/operation-errors.ts';
import { reference } from '#router/http/openapi/reference.ts';
import { HEADERS, headersOf } from '#router/http/openapi/response-headers.ts';
import { tidySchemas } from '#router/http/openapi/tidy-schemas.ts';

type Media = { schema?: unknown; example?: unknown; examples?: Record<string, unknown> };
type Response = {
  description: string;
  headers?: Record<string, unknown>;
  content?: Record<string, Media>;
};
export type Operation = {
  operationId?: string;
  parameters?: { name: string; description?: string | undefined; schema?: { $ref?: string } }[];
  requestBody?: { content: Record<string, Media> };
  responses: Record<string, Response | object>;
};
export type ApiDocument = {
  paths: Record<string, Record<string, Operation>>;
  components: Record<string, Record<string, unknown>>;
};

/** Answers of these are events where the body says `"stream": true`. */
const STREAMING: ReadonlySet<string> = new Set([
  '/v1/chat',
  '/v1/chat/completions',
  '/v1/completions',
  '/v1/responses',
]);
/** What the plug-in writes where a schema has no description of its own. */
const NOT_DESCRIBED = 'Default Response';

/**
 * Adds to what the routes' schemas say what the router does around them: each error by its own status, with an example of each
 * code; response headers; streams; an example of every body; and a name for each operation.
 */
export function completeDocument(
  document: ApiDocument,
  known: {
    /** By method and path, as the document writes them. */
    countedAs: ReadonlyMap<string, string>;
    /** What a parameter is for, by method, path and name. */
    descriptions: ReadonlyMap<string, string>;
  },
): void {
  const shared: SharedErrors = { examples: {}, responses: {} };
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const [name, operation] of Object.entries(methods)) {
      const method = name.toUpperCase();
      const content = operation.requestBody?.content ?? {};
      const facts = {
        method,
        path,
        countedAs: known.countedAs.get(`${method} ${path}`) ?? 'public',
        hasJsonBody: content['application/json'] !== undefined,
        hasForm: content['multipart/form-data'] !== undefined,
      };
      operation.operationId = operationIdOf(method, path);
      for (const parameter of operation.parameters ?? []) {
        const id = parameter.schema?.$ref?.split('/').at(-1) ?? '';
        parameter.description ??=
          known.descriptions.get(`${method} ${path} ${parameter.name}`) ?? descriptionOf(document, id);
      }
      const example = bodyExampleOf(`${method} ${path}`);
      if (content['application/json'] !== undefined && example !== undefined) {
        content['application/json'].example = example;
      }
      if (STREAMING.has(path)) addStream(operation);
      for (const [status, response] of Object.entries(operation.responses)) {
        if (!('description' in response)) continue;
        if (response.description === NOT_DESCRIBED) response.description = 'The answer.';
        const headers = headersOf({
          status,
          isLimited: facts.countedAs !== 'public',
          isRepeatable: takesIdempotencyKey(facts),
          isVersioned:
            takesIfMatch(facts) ||
            /^(?:GET|POST) \/admin\/tenants(?:\/\{tenant_id\})?$/.test(`${method} ${path}`),
        });
        response.headers = Object.fromEntries(
          headers.map((header) => [header, reference('headers', header)]),
        );
      }
      Object.assign(operation.responses, errorResponses(facts, shared));
    }
  }
  document.components.headers = { ...HEADERS };
  document.components.responses = sorted(shared.responses);
  document.components.examples = sorted(shared.examples);
  tidySchemas(document);
}

function descriptionOf(document: ApiDocument, name: string): string | undefined {
  const schema = document.components.schemas?.[name];
  const description = typeof schema === 'object' && schema !== null ? Reflect.get(schema, 'description') : '';
  return typeof description === 'string' && description !== '' ? description : undefined;
}

const sorted = (components: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(components).sort(([left], [right]) => (left < right ? -1 : 1)));

/** `GET /v1/files/{file_id}` is `get_v1_files_file_id`: a name that programs can be generated from, and that stays. */
const operationIdOf = (method: string, path: string): string =>
  `${method.toLowerCase()}${path.replaceAll(/[^a-z0-9_]+/g, '_').replaceAll(/_+$/g, '')}`;

function addStream(operation: Operation): void {
  const answer = operation.responses['200'];
  if (answer === undefined || !('content' in answer) || answer.content === undefined) return;
  answer.content['text/event-stream'] = {
    schema: {
      type: 'string',
      description:
        'With `"stream": true`: server-sent events. A comment comes after 15 seconds of silence; an error after the first ' +
        'byte is an event.',
    },
  };
}
