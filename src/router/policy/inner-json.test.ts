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
