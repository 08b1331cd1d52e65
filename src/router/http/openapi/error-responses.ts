import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { ERROR_CATALOGUE, type ErrorCode } from '#app/errors/catalogue.ts';
import { openAIErrorBody, problemBody } from '#app/errors/error-body.ts';
import { errorsOf, isExpected, type OperationFacts } from '#router/http/openapi/operation-errors.ts';
import { reference } from '#router/http/openapi/reference.ts';
import { headersOf } from '#router/http/openapi/response-headers.ts';

const EXAMPLE_REQUEST = `req_${'0'.repeat(26)}`;

/** What the error answers of several operations share: components of the document. */
export type SharedErrors = {
  examples: Record<string, unknown>;
  responses: Record<string, unknown>;
};

/** A caller's errors by their statuses, as references; what they refer to is added to `shared`. */
export function errorResponses(facts: OperationFacts, shared: SharedErrors): Record<string, object> {
  const byStatus = new Map<string, ErrorCode[]>();
  for (const code of errorsOf(facts)) {
    const status = String(ERROR_CATALOGUE[code].status);
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  if (byStatus.size === 0) return {};
  const surface = surfaceOf(facts.path);
  const answers: Record<string, object> = {};
  const answer = (status: string, name: string, response: object) => {
    shared.responses[name] ??= response;
    if (JSON.stringify(shared.responses[name]) !== JSON.stringify(response)) {
      throw new Error(`Two answers of the OpenAPI document are named ${name}.`);
    }
    answers[status] = reference('responses', name);
  };
  for (const [status, codes] of byStatus) {
    const name = nameOf(surface.schema, status, codes, facts);
    answer(status, name, responseOf(surface, status, codes, facts, shared));
  }
  // What stands before the router answers, too, and what it answers one day is an error as well.
  const headers = { 'x-request-id': reference('headers', 'x-request-id') };
  const content = { [surface.type]: { schema: surface.reference } };
  const refused = `The request was refused; \`${surface.code}\` says why.`;
  answer('4XX', `${surface.schema}4XX`, { description: refused, headers, content });
  answer('5XX', `${surface.schema}5XX`, {
    description: 'Something failed inside, or behind.',
    headers,
    content,
  });
  return answers;
}

const surfaceOf = (path: string) =>
  path.startsWith('/admin/')
    ? {
        isAdmin: true,
        schema: 'Problem',
        reference: reference('schemas', 'Problem'),
        type: 'application/problem+json',
        code: 'code',
      }
    : {
        isAdmin: false,
        schema: 'Error',
        reference: reference('schemas', 'ErrorResponse'),
        type: 'application/json',
        code: 'error.code',
      };

/** `Error403_route_not_allowed`: the status, and the codes that not every caller must expect with it. */
function nameOf(
  schema: string,
  status: string,
  codes: readonly ErrorCode[],
  { countedAs }: OperationFacts,
): string {
  const special = codes.filter((code) => !isExpected(code));
  return [`${schema}${status}`, ...special, ...(countedAs === 'public' ? ['public'] : [])].join('_');
}

function responseOf(
  surface: ReturnType<typeof surfaceOf>,
  status: string,
  codes: readonly ErrorCode[],
  { countedAs }: OperationFacts,
  shared: SharedErrors,
): object {
  const headers = headersOf({
    status,
    isLimited: countedAs !== 'public',
    isRepeatable: false,
    isVersioned: false,
  });
  const examples = codes.map((code) => {
    const name = `${surface.isAdmin ? 'problem' : 'error'}_${code}`;
    const error = new BulkheadError(code, `${ERROR_CATALOGUE[code].title}.`);
    const body = surface.isAdmin ? problemBody : openAIErrorBody;
    shared.examples[name] ??= { summary: ERROR_CATALOGUE[code].title, value: body(error, EXAMPLE_REQUEST) };
    return [code, reference('examples', name)];
  });
  return {
    description: codes.map((code) => `\`${code}\`: ${ERROR_CATALOGUE[code].title}.`).join(' '),
    headers: Object.fromEntries(headers.map((name) => [name, reference('headers', name)])),
    content: { [surface.type]: { schema: surface.reference, examples: Object.fromEntries(examples) } },
  };
}
