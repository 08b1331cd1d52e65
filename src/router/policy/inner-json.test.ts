import { describe, expect, test } from 'vitest';
import { tenantConfigSchema } from '#app/schemas/tenant-config.ts';
import { collectTexts } from '#router/policy/collect-texts.ts';
import { compilePolicy } from '#router/policy/compile-policy.ts';
import { decideContent } from '#router/policy/decide-content.ts';
import { readInnerJson } from '#router/policy/inner-json.ts';

const crowd = (item: string) => `[${Array(120_000).fill(item).join(',')}]`;

describe('JSON inside a text', () => {
  test('is parsed where it can be looked at value by value', () => {
    expect(readInnerJson('{"a":["\\u0062"]}')).toEqual({ value: { a: ['b'] } });
    expect(readInnerJson(`[${Array(300_000).fill('1').join(',')}]`)).toHaveProperty('value');
  });

  test.each([['no JSON'], ['[broken'], ['12'], ['"text"'], ['']])('is not there in %j', (text) => {
    expect(readInnerJson(text)).toBeNull();
  });

  test('is a text without escapes where it is too much', () => {
    const text = crowd('"\\u0062\\n\\"\\\\u0062"');
    expect(readInnerJson(text)).toEqual({ text: crowd('"b\n"\\u0062"') });
    expect(readInnerJson(crowd('[]'))).toEqual({ text: crowd('[]') });
  });

  test('is not made a million texts of', () => {
    expect(collectTexts({ message: crowd('{"a":"b"}') })).toHaveLength(1);
    expect(collectTexts({ message: crowd('"\\u0062"') })).toHaveLength(2);
  });

  const named = (count: number, prefix: string) =>
    `{${Array.from({ length: count }, (_, n) => `"${prefix}${n}":1`).join(',')}}`;

  test('is a text where it has too many different names', () => {
    expect(readInnerJson(named(10_000, 'a'))).toHaveProperty('value');
    expect(readInnerJson(named(10_001, 'a'))).toEqual({ text: named(10_001, 'a') });
    expect(collectTexts({ message: named(20_000, 'a') })).toHaveLength(1);
  });

  test('is counted together where it stands in many texts of one request', () => {
    const messages = Array.from({ length: 50 }, (_, n) => ({
      role: 'tool',
      content: named(5_000, `t${n}_`),
    }));
    // The names of what is parsed are texts of their own.
    expect(collectTexts({ messages }).length).toBeLessThan(50 + 25_000);
  });

  test('hides nothing behind its escapes', () => {
    const config = tenantConfigSchema.parse({
      tenant_id: 'acme',
      display_name: 'Acme',
      sensitive_patterns: [{ name: 'project', pattern: 'bluebird' }],
    });
    const policy = compilePolicy(config, 1);
    const message = crowd('"x"').replace('"x"', '"\\u0062luebird"');
    const refused = collectTexts({ message }).map(
      (text) => decideContent(policy, text).refusal?.policy ?? null,
    );
    expect(refused).toEqual([null, 'sensitive_patterns.0']);
  });
});
