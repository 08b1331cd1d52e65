import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { createRouterFixture, multipartOf } from '#test/support/router-fixture.ts';

const documentSchema = z.looseObject({
  paths: z.record(
    z.string(),
    z.record(
      z.string(),
      z.looseObject({
        requestBody: z
          .looseObject({ content: z.record(z.string(), z.looseObject({ example: z.unknown().optional() })) })
          .optional(),
      }),
    ),
  ),
});
const bodySchema = z.record(z.string(), z.unknown());

/** Of the form that ids have; there is nothing by them. */
const IDS: Readonly<Record<string, string>> = {
  document_id: `doc_${'0'.repeat(26)}`,
  file_id: `doc_${'0'.repeat(26)}`,
  conversation_id: `conv_${'0'.repeat(26)}`,
  response_id: `resp_${'0'.repeat(26)}`,
  vector_store_id: 'vs_vault',
  model: 'bulkhead-rag',
};
const LIMITED = { requests_per_minute: 1_000, requests_per_hour: null, tokens_per_minute: 1_000_000 };

type Asked = Readonly<{
  name: string;
  method: 'GET' | 'POST' | 'DELETE';
  url: string;
  headers: Record<string, string>;
  payload?: object | Buffer;
}>;

let fixture: Awaited<ReturnType<typeof createRouterFixture>>;
let asked: Asked[];

beforeAll(async () => {
  fixture = await createRouterFixture();
  await fixture.setConfig('acme', { rate_limits: LIMITED });
  const key = await fixture.keyOf('acme', 'alice', 'service');
  const { paths } = documentSchema.parse((await fixture.app.inject('/openapi.json')).json());
  asked = Object.entries(paths)
    .filter(([path]) => path.startsWith('/v1/'))
    .flatMap(([path, methods]) =>
      Object.entries(methods).flatMap(([verb, { requestBody }]): Asked[] => {
        const method = z.enum(['GET', 'POST', 'DELETE']).parse(verb.toUpperCase());
        const url = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => IDS[name] ?? 'missing');
        const common = { name: `${method} ${path}`, method, url, headers: key };
        const { content } = requestBody ?? {};
        if (content === undefined) return [common];
        if (content['multipart/form-data'] !== undefined) {
          const { headers, payload } = multipartOf([
            { name: 'file', value: 'text', filename: 'a.txt', type: 'text/plain' },
            ...(path === '/v1/files' ? [{ name: 'purpose', value: 'assistants' }] : []),
          ]);
          return [{ ...common, headers: { ...key, ...headers }, payload }];
        }
        const example = bodySchema.parse(content['application/json']?.example);
        const streams = ['/v1/chat', '/v1/chat/completions', '/v1/completions', '/v1/responses'].includes(
          path,
        );
        return [
          { ...common, payload: example },
          ...(streams
            ? [{ ...common, name: `${common.name}, streamed`, payload: { ...example, stream: true } }]
            : []),
        ];
      }),
    );
});
afterAll(() => fixture.close());

/** Everything that a client may want to know, and what it must look like. */
const LEFT = {
  'x-ratelimit-limit-requests': /^\d+$/,
  'x-ratelimit-remaining-requests': /^\d+$/,
  'x-ratelimit-reset-requests': /^(?:\d+h)?(?:\d+m)?(?:[\d.]+s|\d+ms)$/,
  'x-ratelimit-limit-tokens': /^\d+$/,
  'x-ratelimit-remaining-tokens': /^\d+$/,
  'x-ratelimit-reset-tokens': /^(?:\d+h)?(?:\d+m)?(?:[\d.]+s|\d+ms)$/,
  // Structured fields: lists of strings with integers, a string and bytes as parameters.
  'ratelimit-policy':
    /^"requests_per_minute";q=\d+;w=60;pk=:[\w+/]{12}:, "tokens_per_minute";q=\d+;qu="tokens";w=60;pk=:[\w+/]{12}:$/,
  ratelimit:
    /^"requests_per_minute";r=\d+;t=\d+;pk=:[\w+/]{12}:, "tokens_per_minute";r=\d+(?:;t=\d+)?;pk=:[\w+/]{12}:$/,
};

async function headersOf({ name, ...request }: Asked) {
  const response = await fixture.app.inject(request);
  const wrong = Object.entries(LEFT).flatMap(([header, form]) =>
    form.test(String(response.headers[header])) ? [] : [`${name}: ${header} is ${response.headers[header]}`],
  );
  return { status: response.statusCode, headers: response.headers, wrong };
}

test('every route of a tenant says what is left of its limits, streams and uploads too', async () => {
  expect(asked.length).toBeGreaterThan(25);
  const wrong: string[] = [];
  for (const one of asked) wrong.push(...(await headersOf(one)).wrong);
  expect(wrong).toEqual([]);
});

test('and so does every 429, with a time to wait that is not zero', async () => {
  await fixture.setConfig('acme', { rate_limits: { ...LIMITED, requests_per_minute: 1 } });
  for (const one of asked) {
    const { status, headers, wrong } = await headersOf(one);
    expect([one.name, status, wrong]).toEqual([one.name, 429, []]);
    expect(Number(headers['retry-after'])).toBeGreaterThanOrEqual(1);
    expect(Number(headers['retry-after'])).toBeLessThanOrEqual(60);
    expect(headers['x-ratelimit-remaining-requests']).toBe('0');
  }
});
