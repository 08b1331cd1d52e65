import { z } from 'zod';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { ERROR_CATALOGUE, type ErrorCode } from '#app/errors/catalogue.ts';
import { openAIErrorBody, openAIErrorSchema, problemBody, problemSchema } from '#app/errors/error-body.ts';
import { bodyExampleOf } from '#router/http/openapi/body-examples.ts';
import { errorsOf, takesIdempotencyKey, takesIfMatch } from '#router/http/openapi/operation-errors.ts';
import { HEADERS, headersOf } from '#router/http/openapi/response-headers.ts';

type Media = { schema?: unknown; example?: unknown; examples?: Record<string, unknown> };
type Response = {
  description: string;
  headers?: Record<string, unknown>;
  content?: Record<string, Media>;
};
export type Operation = {
  operationId?: string;
  requestBody?: { content: Record<string, Media> };
  responses: Record<string, Response>;
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

const ERROR_SCHEMAS = {
  Error: z.toJSONSchema(openAIErrorSchema, { target: 'draft-2020-12' }),
  Problem: z.toJSONSchema(problemSchema, { target: 'draft-2020-12' }),
};

const EXAMPLE_REQUEST = `req_${'0'.repeat(26)}`;

const reference = (kind: string, name: string) => ({ $ref: `#/components/${kind}/${name}` });

/**
 * Adds to what the routes' schemas say what the router does around them: each error by its own status, with an example of each
 * code; response headers; streams; an example of every body; and a name for each operation.
 */
export function completeDocument(document: ApiDocument, countedAs: ReadonlyMap<string, string>): void {
  const examples: Record<string, unknown> = {};
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const [name, operation] of Object.entries(methods)) {
      const method = name.toUpperCase();
      const content = operation.requestBody?.content ?? {};
      const facts = {
        method,
        path,
        countedAs: countedAs.get(`${method} ${path}`) ?? 'public',
        hasJsonBody: content['application/json'] !== undefined,
        hasForm: content['multipart/form-data'] !== undefined,
      };
      operation.operationId = operationIdOf(method, path);
      const example = bodyExampleOf(`${method} ${path}`);
      if (content['application/json'] !== undefined && example !== undefined) {
        content['application/json'].example = example;
      }
      addErrors(operation, path, errorsOf(facts), examples);
      if (STREAMING.has(path)) addStream(operation);
      for (const [status, response] of Object.entries(operation.responses)) {
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
    }
  }
  document.components.headers = { ...HEADERS };
  document.components.schemas = { ...document.components.schemas, ...ERROR_SCHEMAS };
  document.components.examples = examples;
}

/** `GET /v1/files/{file_id}` is `get_v1_files_file_id`: a name that programs can be generated from, and that stays. */
const operationIdOf = (method: string, path: string): string =>
  `${method.toLowerCase()}${path.replaceAll(/[^a-z0-9_]+/g, '_').replaceAll(/_+$/g, '')}`;

/** The errors by status, in place of the ranges that the route's schema has. */
function addErrors(
  operation: Operation,
  path: string,
  codes: readonly ErrorCode[],
  examples: Record<string, unknown>,
): void {
  const isAdmin = path.startsWith('/admin/');
  const type = isAdmin ? 'application/problem+json' : 'application/json';
  const schema = reference('schemas', isAdmin ? 'Problem' : 'Error');
  for (const range of ['4XX', '5XX']) {
    const media = operation.responses[range]?.content?.[type];
    if (media !== undefined) media.schema = schema;
  }
  for (const code of codes) {
    const { status, title } = ERROR_CATALOGUE[code];
    const name = `${isAdmin ? 'problem' : 'error'}_${code}`;
    examples[name] ??= { summary: title, value: exampleOf(code, isAdmin) };
    const response = operation.responses[status] ?? { description: '', content: { [type]: { schema } } };
    operation.responses[status] = response;
    response.description = `${response.description} \`${code}\`: ${title}.`.trim();
    const media = response.content?.[type];
    if (media !== undefined) media.examples = { ...media.examples, [code]: reference('examples', name) };
  }
}

function exampleOf(code: ErrorCode, isAdmin: boolean): unknown {
  const error = new BulkheadError(code, `${ERROR_CATALOGUE[code].title}.`);
  return isAdmin ? problemBody(error, EXAMPLE_REQUEST) : openAIErrorBody(error, EXAMPLE_REQUEST);
}

function addStream(operation: Operation): void {
  const { content } = operation.responses['200'] ?? {};
  if (content === undefined) return;
  content['text/event-stream'] = {
    schema: {
      type: 'string',
      description:
        'With `"stream": true`: server-sent events. A comment comes after 15 seconds of silence; an error after the first ' +
        'byte is an event.',
    },
  };
}
