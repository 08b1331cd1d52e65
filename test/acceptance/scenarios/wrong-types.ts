import { beforeAll, describe, expect, it } from 'vitest';
import { userIdSchema } from '#app/ids.ts';
import { at, call, textAt } from '../../support/http-client.ts';
import { type JsonSchema, minimalValue, type Route, readRoutes } from '../../support/openapi-routes.ts';
import type { SeededPlatform } from '../../support/seeded-platform.ts';
import { expectRefusal, snapshot } from '../refusals.ts';

/** A value of every JSON type. 1.5 is a number and no integer. */
const SAMPLES: readonly { types: readonly string[]; value: unknown }[] = [
  { types: ['string'], value: 'wrong' },
  { types: ['number'], value: 1.5 },
  { types: ['boolean'], value: true },
  { types: ['array'], value: [[]] },
  { types: ['object'], value: { wrong: { wrong: 1 } } },
  { types: ['null'], value: null },
];

type WrongBody = { path: string; body: unknown };

/** Every route of `/openapi.json`, with a value of a wrong type in every field of its body and query. */
export function describeWrongTypes(seeded: () => SeededPlatform): void {
  describe('values of wrong types', () => {
    let routes: Route[];
    let url: string;
    beforeAll(async () => {
      url = seeded().platform.url;
      routes = await readRoutes(url);
    });
    const keyFor = ({ path }: Route) =>
      path.startsWith('/admin') ? seeded().keys.operator : seeded().keys.alice;
    const values = {
      tenant_id: 'acme',
      key_id: '0'.repeat(26),
      document_id: `doc_${'0'.repeat(26)}`,
      response_id: `resp_${'0'.repeat(26)}`,
    };

    it('in any field of a JSON body are refused, and the field is named', async () => {
      const before = await snapshot(seeded());
      let tried = 0;
      for (const route of routes) {
        if (route.body === null) continue;
        for (const { path, body } of wrongBodies(route.body)) {
          const answer = await call(url, route.endpoint(values), { key: keyFor(route), json: body });
          const param = expectRefusal(answer, `${route.method} ${route.path}: ${path}`);
          const named = param === path || param.startsWith(`${path}.`) || path.startsWith(`${param}.`);
          expect(named, `${route.method} ${route.path}: ${path} is wrong, ${param} is named`).toBe(true);
          tried++;
        }
      }
      expect(tried).toBeGreaterThan(100);
      expect(await snapshot(seeded())).toEqual(before);
    });

    it('in a query are refused, and the parameter is named', async () => {
      const wrong: Readonly<Record<string, readonly string[]>> = {
        integer: ['abc', '-1', '1.5', '1e9', '99999999999999999999', 'NaN', ''],
        string: ['%00', `${'x'.repeat(5_000)}`],
      };
      for (const route of routes) {
        for (const [name, schema] of route.queryParameters) {
          const type = typesOf(schema).find((one) => wrong[one] !== undefined) ?? 'string';
          for (const value of wrong[type] ?? []) {
            const endpoint = route.endpoint(values, `?${name}=${value}`);
            const answer = await call(url, endpoint, { key: keyFor(route) });
            // An id that cannot exist finds nothing: that is an answer, too.
            expect(answer.status, `${endpoint}: ${answer.text}`).toBeLessThan(500);
            if (type === 'integer') expect(expectRefusal(answer, endpoint)).toBe(name);
          }
          const twice = route.endpoint(values, `?${name}=1&${name}=2`);
          expect(expectRefusal(await call(url, twice, { key: keyFor(route) }), twice)).toBe(name);
        }
        if (route.queryParameters.size === 0) continue;
        const unknown = route.endpoint(values, '?nonsense=1');
        expect(expectRefusal(await call(url, unknown, { key: keyFor(route) }), unknown)).toBe('nonsense');
      }
    });

    it('in a path answer as ids that do not exist', async () => {
      const hostile = [
        '..',
        '%2e%2e',
        '..%2f..%2fetc%2fpasswd',
        '%2e%2e%2f%2e%2e%2fsecrets.json',
        '%00',
        'doc_%00',
        '%27%20OR%20%271%27%3D%271',
        '__proto__',
        'constructor',
        '%E2%80%AE',
        '%ff%fe',
        '%zz',
        '%',
        '*',
        '0',
        '-1',
        'null',
        'undefined',
        'x'.repeat(9_000),
        `doc_${'0'.repeat(26)}%20`,
        `doc_${'0'.repeat(26)}%0a`,
        'acme%2f..%2fglobex',
      ];
      for (const route of routes) {
        for (const name of route.pathParameters) {
          for (const value of hostile) {
            // Anything of that form can be a user: one whom no list names yet can be removed, so that no token lets them in.
            if (name === 'user_id' && userIdSchema.safeParse(value).success) continue;
            const endpoint = route.endpoint({ ...values, [name]: value });
            const json = route.body === null ? undefined : minimalValue(route.body);
            const answer = await call(url, endpoint, {
              key: keyFor(route),
              ...(json === undefined ? {} : { json }),
            });
            // `..` is resolved before it is sent: another route answers then, and need not refuse.
            if (value === '..' || value === '%2e%2e') expect(answer.status).toBeLessThan(500);
            else expectRefusal(answer, endpoint);
            expect(answer.text).not.toContain('root:');
          }
        }
      }
    });

    it('under other methods are 405 with what is allowed', async () => {
      for (const path of new Set(routes.map((route) => route.path))) {
        // Names of models hold slashes: below this path there are no others.
        if (path.startsWith('/v1/models/')) continue;
        const allowed = routes.filter((route) => route.path === path).map(({ method }) => method);
        for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) {
          if (allowed.includes(method)) continue;
          const endpoint = `${method} ${path.replace(/\{[^}]+\}/g, 'x')}`;
          const answer = await call(url, endpoint, { key: seeded().keys.alice });
          expect(answer.status, endpoint).toBe(405);
          for (const one of allowed) expect(answer.headers.allow).toContain(one);
          expect(codeOf(answer.json)).toBe('method_not_allowed');
        }
      }
    });
  });
}

const codeOf = (json: unknown) => textAt(json, at(json, 'error') === undefined ? 'code' : 'error.code');

/** The minimal body, with each known field in turn replaced by values of types that it does not take. */
function wrongBodies(schema: JsonSchema): WrongBody[] {
  const minimal = minimalValue(schema);
  return objectsOf(schema).flatMap(({ properties }) =>
    Object.entries(properties ?? {}).flatMap(([name, property]) =>
      wrongValues(property, name).map(({ path, body }) => ({
        path,
        body: { ...(typeof minimal === 'object' ? minimal : {}), [name]: body },
      })),
    ),
  );
}

/** Values that the schema does not accept at `path`, and in everything within it. */
function wrongValues(schema: JsonSchema, path: string): WrongBody[] {
  const accepted = new Set(typesOf(schema));
  // A schema without a type accepts anything.
  if (accepted.size === 0) return [];
  if (accepted.has('number')) accepted.delete('integer');
  const own = SAMPLES.filter(({ types }) => !types.some((type) => accepted.has(type))).map(({ value }) => ({
    path,
    body: value,
  }));
  const inObjects = objectsOf(schema).flatMap((object) => {
    const minimal = minimalValue(object);
    return Object.entries(object.properties ?? {}).flatMap(([name, property]) =>
      wrongValues(property, `${path}.${name}`).map((wrong) => ({
        path: wrong.path,
        body: { ...(typeof minimal === 'object' ? minimal : {}), [name]: wrong.body },
      })),
    );
  });
  const alternatives = [schema, ...(schema.anyOf ?? []), ...(schema.oneOf ?? [])];
  // Within a choice of several lists or objects, which one was meant cannot be told.
  const lists = alternatives.filter((one) => one.items !== undefined);
  const inLists =
    lists.length !== 1
      ? []
      : wrongValues(lists[0]?.items ?? {}, `${path}.0`).map(({ path: at, body }) => ({
          path: at,
          body: [body],
        }));
  return [...own, ...(objectsOf(schema).length === 1 ? inObjects : []), ...inLists];
}

/** The object schemas among the schema and its alternatives. */
const objectsOf = (schema: JsonSchema): JsonSchema[] =>
  [schema, ...(schema.anyOf ?? []), ...(schema.oneOf ?? [])].filter((one) => one.properties !== undefined);

/** The JSON types that the schema accepts; none where it accepts all. */
function typesOf(schema: JsonSchema): string[] {
  const alternatives = [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])];
  if (alternatives.length > 0) {
    const types = alternatives.map(typesOf);
    return types.some((one) => one.length === 0) ? [] : types.flat();
  }
  if (schema.type !== undefined) return Array.isArray(schema.type) ? schema.type : [schema.type];
  if (schema.enum !== undefined || schema.const !== undefined)
    return [typeof (schema.enum?.[0] ?? schema.const)];
  return [];
}
