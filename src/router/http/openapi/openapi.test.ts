import { Validator } from '@seriousme/openapi-schema-validator';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { openAIErrorSchema, problemSchema } from '#app/errors/error-body.ts';
import { dereference } from '#test/support/dereference.ts';
import { createRouterFixture } from '#test/support/router-fixture.ts';

const rawSchema = z.record(z.string(), z.unknown());
const schemaSchema = z.looseObject({
  properties: z
    .record(z.string(), z.looseObject({ type: z.unknown().optional(), description: z.string().optional() }))
    .optional(),
  required: z.array(z.string()).optional(),
});
const operationSchema = z.looseObject({
  operationId: z.string(),
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
    .looseObject({
      content: z.record(z.string(), z.looseObject({ schema: schemaSchema, example: z.unknown().optional() })),
    })
    .optional(),
  responses: z.record(
    z.string(),
    z.looseObject({
      description: z.string(),
      headers: z.record(z.string(), z.unknown()).optional(),
      content: z
        .record(
          z.string(),
          z.looseObject({
            schema: schemaSchema.optional(),
            examples: z.record(z.string(), z.unknown()).optional(),
          }),
        )
        .optional(),
    }),
  ),
});
const documentSchema = z.looseObject({
  tags: z.array(z.looseObject({ name: z.string(), description: z.string().min(1) })),
  paths: z.record(z.string(), z.record(z.string(), z.unknown())),
  components: z
    .looseObject({ examples: z.record(z.string(), z.looseObject({ value: z.unknown() })) })
    .catchall(z.record(z.string(), z.unknown())),
});

const isCredential = (one: Record<string, unknown>) => Object.keys(one).length === 1;

let fixture: Awaited<ReturnType<typeof createRouterFixture>>;
let raw: unknown;
let document: z.infer<typeof documentSchema>;
let operations: { name: string; path: string; method: string; operation: z.infer<typeof operationSchema> }[];

beforeAll(async () => {
  fixture = await createRouterFixture();
  raw = (await fixture.app.inject('/openapi.json')).json();
  document = documentSchema.parse(dereference(raw));
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
          ? operation.security.some((one) => Object.hasOwn(one, 'apiKey'))
          : operation.security.length === 0,
      ),
    ).toEqual([]);
    const open = faults(({ path, operation }) => !needed({ path }) || operation.security.every(isCredential));
    expect(open).toEqual(['POST /admin/tenants/{tenant_id}/members/accept']);
  });

  test('has a name of its own', () => {
    const names = operations.map(({ operation }) => operation.operationId);
    expect(new Set(names).size).toBe(names.length);
    expect(names).toContain('post_v1_chat_completions');
    for (const name of names) expect(name).toMatch(/^[a-z][a-z0-9_]+$/);
  });

  test('lists each error by its status, with an example of it', () => {
    const listed = (name: string) => {
      const { operation } = operations.find((one) => one.name === name) ?? {};
      return Object.fromEntries(
        Object.entries(operation?.responses ?? {}).map(([status, { content = {} }]) => [
          status,
          Object.values(content).flatMap(({ examples = {} }) => Object.keys(examples)),
        ]),
      );
    };
    expect(listed('POST /v1/chat/completions')).toMatchObject({
      401: ['invalid_credential', 'missing_credential'],
      403: expect.arrayContaining(['guardrail_refused', 'model_not_allowed', 'tool_blocked']),
      413: ['body_too_large'],
      429: ['budget_exceeded', 'rate_limit_exceeded', 'tenant_overloaded'],
      502: ['engine_error'],
    });
    expect(listed('PATCH /admin/tenants/{tenant_id}')).toMatchObject({ 412: ['precondition_failed'] });
    expect(listed('GET /healthz')).toEqual({ 200: [] });
    for (const [name, { value }] of Object.entries(document.components.examples)) {
      const [kind = '', ...code] = name.split('_');
      const parsed =
        kind === 'problem' ? problemSchema.parse(value).code : openAIErrorSchema.parse(value).error.code;
      expect(parsed).toBe(code.join('_'));
    }
  });

  test('tells of streams where there are some, and of the headers of answers and refusals', () => {
    const streams = operations.filter(
      ({ operation }) => operation.responses['200']?.content?.['text/event-stream'] !== undefined,
    );
    expect(streams.map(({ path }) => path).sort()).toEqual([
      '/v1/chat',
      '/v1/chat/completions',
      '/v1/completions',
      '/v1/responses',
    ]);
    const { operation } = streams[0] ?? {};
    const headers = (status: string) => Object.keys(operation?.responses[status]?.headers ?? {});
    expect(headers('200')).toEqual(expect.arrayContaining(['x-request-id', 'ratelimit']));
    expect(headers('429')).toEqual(expect.arrayContaining(['x-ratelimit-remaining-tokens', 'retry-after']));
    expect(headers('401')).toEqual(['x-request-id']);
  });

  test('refers to nothing that is not there', () => {
    const references = [...JSON.stringify(raw).matchAll(/"\$ref":"#\/components\/(\w+)\/([\w-]+)"/g)];
    expect(references.length).toBeGreaterThan(1_000);
    const missing = references.filter(
      ([, kind = '', name = '']) => !Object.hasOwn(document.components[kind] ?? {}, name),
    );
    expect(missing).toEqual([]);
  });

  test('is valid OpenAPI 3.1', async () => {
    expect(await new Validator().validate(structuredClone(rawSchema.parse(raw)))).toEqual({ valid: true });
  });

  test('has a named schema for every body and answer, and one component for errors that are the same', () => {
    const media = z.record(z.string(), z.looseObject({ schema: z.looseObject({}).optional() }));
    const withContent = z.looseObject({ content: media.optional(), $ref: z.string().optional() });
    const operation = z.looseObject({
      requestBody: withContent.optional(),
      responses: z.record(z.string(), withContent),
    });
    const { paths } = z
      .looseObject({ paths: z.record(z.string(), z.record(z.string(), operation)) })
      .parse(raw);
    const faulty: string[] = [];
    const named = (where: string, { content = {} }: z.infer<typeof withContent>) => {
      for (const type of ['application/json', 'multipart/form-data']) {
        const schema = content[type]?.schema;
        if (schema !== undefined && typeof schema.$ref !== 'string') faulty.push(where);
      }
    };
    for (const [path, methods] of Object.entries(paths)) {
      for (const [method, { requestBody, responses }] of Object.entries(methods)) {
        named(`${method} ${path}`, requestBody ?? {});
        for (const [status, response] of Object.entries(responses)) {
          named(`${method} ${path} ${status}`, response);
          const isError = /^[45]/.test(status) && path !== '/readyz';
          if (isError && response.$ref === undefined) faulty.push(`${method} ${path} ${status}`);
        }
      }
    }
    expect(faulty).toEqual([]);
    const { schemas = {} } = document.components;
    expect(Object.keys(schemas)).toEqual(
      expect.arrayContaining(['ChatCompletion', 'ErrorResponse', 'MultiTenantChatRequest', 'TenantConfig']),
    );
    // What is sent and what is answered have one name, but for what has defaults.
    expect(Object.keys(schemas).filter((name) => name.endsWith('Input'))).toContain('TenantConfigInput');
    expect(schemas).not.toHaveProperty('ChatCompletionRequestInput');
  });

  test('has an example of every JSON body, which the router takes', async () => {
    const bodies = operations.flatMap(({ name, method, path, operation }) => {
      const { example } = operation.requestBody?.content['application/json'] ?? {};
      return operation.requestBody?.content['application/json'] === undefined
        ? []
        : [{ name, method, path, example }];
    });
    expect(bodies.length).toBeGreaterThan(15);
    // What ends something comes last.
    bodies.sort((left, right) => Number(left.method === 'delete') - Number(right.method === 'delete'));
    const member = await fixture.keyOf('acme', 'alice');
    const { key_id } = (
      await fixture.app.inject({
        method: 'POST',
        url: '/admin/tenants/acme/keys',
        headers: fixture.operator,
        payload: { user_id: 'rotated' },
      })
    ).json();
    const named: Record<string, string> = {
      tenant_id: 'acme',
      vector_store_id: 'vs_vault',
      user_id: 'ada',
      key_id,
    };
    /** An invitation that nobody made, and a file that nobody uploaded, are not there. */
    const MISSING = [
      'POST /admin/tenants/{tenant_id}/members/accept',
      'POST /v1/vector_stores/{vector_store_id}/files',
    ];
    for (const { name, method, path, example } of bodies) {
      expect([name, example]).toEqual([name, expect.anything()]);
      const response = await fixture.app.inject({
        method: method.toUpperCase() as 'POST',
        // Erased is the tenant that was made before.
        url: path.replaceAll(/\{(\w+)\}/g, (_, part: string) =>
          method === 'delete' ? 'hooli' : (named[part] ?? part),
        ),
        headers: path.startsWith('/v1/') ? member : fixture.operator,
        payload: example as object,
      });
      const isGood = response.statusCode < 300;
      expect([name, isGood ? 'taken' : response.body]).toEqual([
        name,
        MISSING.includes(name) ? expect.stringMatching(/not_found|invalid_credential|no such file/) : 'taken',
      ]);
    }
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
      const isGuarded = name.endsWith('/restore');
      expect([name, headers]).toEqual([name, ['idempotency-key', ...(isGuarded ? ['if-match'] : [])]]);
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
  const strictProblemSchema = z.strictObject({
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
      const problem = strictProblemSchema.parse(response.json());
      expect(problem.status).toBe(status);
      expect(problem.type).toBe(`urn:bulkhead:error:${problem.code}`);
      expect(problem.instance).toBe(`urn:bulkhead:request:${response.headers['x-request-id']}`);
    }
  });
});
