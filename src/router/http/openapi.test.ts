import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { createRouterFixture } from '#test/support/router-fixture.ts';

const schemaSchema = z.looseObject({
  properties: z
    .record(z.string(), z.looseObject({ type: z.unknown().optional(), description: z.string().optional() }))
    .optional(),
  required: z.array(z.string()).optional(),
});
const operationSchema = z.looseObject({
  summary: z.string().min(10).max(140),
  tags: z.array(z.string()).length(1),
  security: z.array(z.record(z.string(), z.array(z.string()))),
  parameters: z
    .array(
      z.looseObject({
        name: z.string(),
        in: z.enum(['path', 'query', 'header']),
        description: z.string().optional(),
      }),
    )
    .default([]),
  description: z.string().optional(),
  requestBody: z
    .looseObject({ content: z.record(z.string(), z.looseObject({ schema: schemaSchema })) })
    .optional(),
  responses: z.record(
    z.string(),
    z.looseObject({
      description: z.string(),
      content: z.record(z.string(), z.looseObject({ schema: schemaSchema.optional() })).optional(),
    }),
  ),
});
const documentSchema = z.looseObject({
  tags: z.array(z.looseObject({ name: z.string(), description: z.string().min(1) })),
  paths: z.record(z.string(), z.record(z.string(), z.unknown())),
});

let fixture: Awaited<ReturnType<typeof createRouterFixture>>;
let document: z.infer<typeof documentSchema>;
let operations: { name: string; path: string; method: string; operation: z.infer<typeof operationSchema> }[];

beforeAll(async () => {
  fixture = await createRouterFixture();
  document = documentSchema.parse((await fixture.app.inject('/openapi.json')).json());
  operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, raw]) => {
      const name = `${method.toUpperCase()} ${path}`;
      const operation = operationSchema.safeParse(raw);
      if (!operation.success) throw new Error(`${name}: ${z.prettifyError(operation.error)}`);
      return { name, path, method, operation: operation.data };
    }),
  );
});
afterAll(() => fixture.close());

/** What of the routes does not do as `holds` says; an empty list is what a test wants. */
const faults = (holds: (one: (typeof operations)[number]) => boolean) =>
  operations.filter((one) => !holds(one)).map(({ name }) => name);

describe('every route of the document', () => {
  test('there are some', () => expect(operations.length).toBeGreaterThan(30));

  test('has one known tag, and says which credential it needs', () => {
    const tags = document.tags.map(({ name }) => name);
    expect(faults(({ operation }) => tags.includes(operation.tags[0] ?? ''))).toEqual([]);
    const needed = ({ path }: { path: string }) => /^\/(?:v1|admin)\//.test(path);
    expect(
      faults(({ path, operation }) =>
        needed({ path })
          ? JSON.stringify(operation.security) === '[{"apiKey":[]}]'
          : operation.security.length === 0,
      ),
    ).toEqual([]);
  });

  test('has one success, and its errors in the form of its surface', () => {
    expect(
      faults(
        ({ operation }) =>
          Object.keys(operation.responses).filter((status) => /^2/.test(status)).length === 1,
      ),
    ).toEqual([]);
    expect(
      faults(({ path, operation }) => {
        if (!/^\/(?:v1|admin)\//.test(path)) return true;
        const type = path.startsWith('/admin/') ? 'application/problem+json' : 'application/json';
        return ['4XX', '5XX'].every((status) => {
          const { content, description } = operation.responses[status] ?? { description: '' };
          return description !== '' && content?.[type]?.schema !== undefined;
        });
      }),
    ).toEqual([]);
  });

  test('describes every part of its path', () => {
    expect(
      faults(({ path, operation }) => {
        const named = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
        const described = operation.parameters.filter((one) => one.in === 'path').map(({ name }) => name);
        return JSON.stringify(named.sort()) === JSON.stringify(described.sort());
      }),
    ).toEqual([]);
  });

  test('says what each parameter and field is for, and of what changes something, what it does', () => {
    const silent = operations.flatMap(({ name, method, operation }) => {
      const bodies = Object.values(operation.requestBody?.content ?? {});
      const fields = bodies.flatMap(({ schema }) => Object.entries(schema.properties ?? {}));
      return [
        ...(['post', 'put', 'patch'].includes(method) && operation.description === undefined ? [name] : []),
        ...operation.parameters.flatMap((one) =>
          one.description === undefined ? [`${name}: ${one.name}`] : [],
        ),
        ...fields.flatMap(([field, { description }]) =>
          description === undefined ? [`${name}: ${field}`] : [],
        ),
      ];
    });
    expect(silent).toEqual([]);
  });

  test('under /admin pages its lists by limit, after and has_more, and takes an idempotency key with a POST', () => {
    const admin = operations.filter(({ path }) => path.startsWith('/admin/'));
    const lists = admin.filter(({ method, operation }) => {
      if (method !== 'get') return false;
      const answer = operation.responses['200']?.content?.['application/json']?.schema;
      return answer?.properties?.data?.type === 'array';
    });
    expect(lists.length).toBeGreaterThanOrEqual(5);
    for (const { name, operation } of lists) {
      const query = operation.parameters.filter((one) => one.in === 'query').map((one) => one.name);
      expect([name, query]).toEqual([name, expect.arrayContaining(['limit', 'after'])]);
      const answer = operation.responses['200']?.content?.['application/json']?.schema;
      expect([name, answer?.required]).toEqual([
        name,
        expect.arrayContaining(['object', 'data', 'first_id', 'last_id', 'has_more']),
      ]);
    }
    const posts = admin.filter(({ method }) => method === 'post');
    expect(posts.length).toBeGreaterThan(3);
    for (const { name, operation } of posts) {
      const headers = operation.parameters.filter((one) => one.in === 'header').map((one) => one.name);
      expect([name, headers]).toEqual([name, ['idempotency-key']]);
    }
  });

  test('outside /admin takes an idempotency key with uploads alone', () => {
    const takers = operations.filter(
      ({ path, operation }) =>
        !path.startsWith('/admin/') && operation.parameters.some((one) => one.name === 'idempotency-key'),
    );
    expect(takers.map(({ name }) => name).sort()).toEqual(['POST /v1/files', 'POST /v1/vault/documents']);
  });
});

describe('an error under /admin', () => {
  const problemSchema = z.strictObject({
    type: z.string().regex(/^urn:bulkhead:error:[a-z_]+$/),
    title: z.string().min(1),
    status: z.int(),
    detail: z.string().min(1),
    code: z.string().min(1),
    instance: z.string().regex(/^urn:bulkhead:request:req_[0-9a-z]{26}$/),
    param: z.string().optional(),
    refusal: z
      .strictObject({
        policy: z.string(),
        limit: z.number().optional(),
        current: z.number().optional(),
        resets_at: z.string().optional(),
      })
      .optional(),
  });

  test('has the same members, whoever raises it', async () => {
    const { operator } = fixture;
    const member = await fixture.keyOf('acme', 'alice');
    const json = { 'content-type': 'application/json' };
    const large = JSON.stringify({ tenant_id: 'x', display_name: 'x'.repeat(1_100_000) });
    const asked: [number, 'GET' | 'POST' | 'PUT' | 'PATCH', string, Record<string, string>, string?][] = [
      [400, 'GET', '/admin/tenants?limit=0', operator],
      [400, 'GET', '/admin/tenants?limit=1&unknown=1', operator],
      [400, 'POST', '/admin/tenants', { ...operator, ...json }, '{'],
      [400, 'POST', '/admin/tenants', { ...operator, ...json }, '{"tenant_id":"x"}'],
      [401, 'GET', '/admin/tenants', {}],
      [403, 'GET', '/admin/tenants', member],
      [404, 'GET', '/admin/nothing', operator],
      [404, 'GET', '/admin/tenants/nobody', operator],
      [404, 'GET', '/admin/tenants/NOBODY', operator],
      [405, 'PUT', '/admin/tenants', operator],
      [409, 'POST', '/admin/tenants', { ...operator, ...json }, '{"tenant_id":"acme","display_name":"x"}'],
      [412, 'PATCH', '/admin/tenants/acme', { ...operator, ...json, 'if-match': '"9"' }, '{}'],
      [413, 'POST', '/admin/tenants', { ...operator, ...json }, large],
      [415, 'POST', '/admin/tenants', { ...operator, 'content-type': 'text/plain' }, 'x'],
    ];
    for (const [status, method, url, headers, payload] of asked) {
      const response = await fixture.app.inject({
        method,
        url,
        headers,
        ...(payload === undefined ? {} : { payload }),
      });
      const where = `${method} ${url}`;
      expect([where, response.statusCode]).toEqual([where, status]);
      expect(response.headers['content-type']).toBe('application/problem+json; charset=utf-8');
      const problem = problemSchema.parse(response.json());
      expect(problem.status).toBe(status);
      expect(problem.type).toBe(`urn:bulkhead:error:${problem.code}`);
      expect(problem.instance).toBe(`urn:bulkhead:request:${response.headers['x-request-id']}`);
    }
  });
});
