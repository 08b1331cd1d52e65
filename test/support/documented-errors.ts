import { z } from 'zod';
import { ERROR_CATALOGUE } from '#app/errors/catalogue.ts';
import type { AnsweredError } from '#router/http/error-handler.ts';
import type { RouterApp } from '#router/router-services.ts';
import { dereference } from './dereference.ts';

const operationSchema = z.looseObject({
  responses: z.record(
    z.string(),
    z.looseObject({
      content: z
        .record(z.string(), z.looseObject({ examples: z.record(z.string(), z.unknown()).optional() }))
        .optional(),
    }),
  ),
});
const documentSchema = z.looseObject({
  paths: z.record(z.string(), z.record(z.string(), operationSchema)),
});

/** What no operation can help: nobody hears it, or it is of no operation. */
const EVERYWHERE: ReadonlySet<string> = new Set(['client_closed', 'method_not_allowed']);

/** Those of the errors that their operation does not list in the OpenAPI document. Operations that are not in it may answer as they like. */
export function undocumentedErrors(app: RouterApp, errors: readonly AnsweredError[]): string[] {
  if (errors.length === 0) return [];
  const { paths } = documentSchema.parse(dereference(app.swagger()));
  const missing = new Set<string>();
  for (const { method, url, code } of errors) {
    if (EVERYWHERE.has(code)) continue;
    const path = url.replace('/v1/models/*', '/v1/models/:model').replaceAll(/:(\w+)/g, '{$1}');
    const operation = paths[path]?.[method.toLowerCase()];
    if (operation === undefined) continue;
    const { content = {} } = operation.responses[ERROR_CATALOGUE[code].status] ?? {};
    const isListed = Object.values(content).some(({ examples = {} }) => Object.hasOwn(examples, code));
    if (!isListed) missing.add(`${method} ${path} ${code}`);
  }
  return [...missing].sort();
}
