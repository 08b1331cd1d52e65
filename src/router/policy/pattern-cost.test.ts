import { RE2JS } from 're2js';
import { describe, expect, it } from 'vitest';
import { tenantConfigSchema } from '#app/schemas/tenant-config.ts';
import { compileNewPolicy, compileStoredPolicy } from '#router/policy/compile-policy.ts';
import { MAX_PATTERN_COST, patternCost } from '#router/policy/pattern-cost.ts';

const fill = (unit: string, before = '', after = '') =>
  before + unit.repeat(Math.floor((500 - before.length - after.length) / unit.length)) + after;

const configOf = (patterns: readonly string[]) =>
  tenantConfigSchema.parse({
    tenant_id: 'acme',
    display_name: 'Acme',
    sensitive_patterns: patterns.map((pattern, index) => ({ name: `p${index}`, pattern })),
  });

describe('what compiling a pattern costs', () => {
  it.each([
    ['classes of Unicode', fill('\\pL\\pN', '[', ']')],
    ['the same, by their long names', fill('\\p{L}\\P{N}', '[^', ']')],
    ['ranges of nearly all characters', fill('\\x{42}-\\x{1e942}', '[', ']')],
    ['the same, as they are', fill('B-\u{1e942}', '[', ']')],
    ['each in a class of its own', fill('[B-\u{1e942}]')],
    ['repetition', fill('\\pL{99}')],
    ['a backslash and what is no quotation then', fill('\\pL\\pN', '\\\\Q[', ']')],
    ['repetition of repetition', '((((a{9}){9}){9}){9})'],
  ])('is too much for %s', (_name, pattern) => {
    expect(patternCost(pattern, false)).toBeGreaterThan(MAX_PATTERN_COST);
  });

  it.each([
    '\\b\\d{3}-\\d{2}-\\d{4}\\b',
    '(?i)project\\s+(aurora|borealis|[a-z]{3,12})',
    '\\pL{60}x',
    '[\\pL\\pN\\pM\\pS]{40}',
    '[\u4e00-\u9fff]{2,8}',
    '[^\\x{0}-\\x{ff}]+',
    '\\Q[a-z]{999}\\E',
    fill('ab|', '', 'c'),
    fill('(a?)'),
    `${'('.repeat(200)}a${')'.repeat(200)}`,
    fill('[a-zA-Z0-9_]'),
  ])('is little for %s', (pattern) => {
    expect(() => RE2JS.compile(pattern, RE2JS.CASE_INSENSITIVE)).not.toThrow();
    expect(patternCost(pattern, false)).toBeLessThan(MAX_PATTERN_COST);
  });

  it('is found for what is no pattern, too', () => {
    for (const pattern of [
      '[',
      '\\',
      '\\p',
      '\\p{',
      '\\x{',
      'a{',
      '{3}',
      ')',
      '(((',
      '[a-',
      '[[:alpha',
      '[^]',
    ])
      expect(patternCost(pattern, false)).toBeLessThan(MAX_PATTERN_COST);
  });

  it('refuses a new policy by its field, and not one that is stored', async () => {
    const config = configOf([
      'fine',
      fill('B-\u{1e942}', '[', ']')
        .slice(0, 40)
        .replace(/[^\]]$/u, ']'),
    ]);
    await expect(compileNewPolicy(config, 1)).rejects.toMatchObject({
      code: 'invalid_request',
      param: 'sensitive_patterns.1.pattern',
    });
    expect((await compileStoredPolicy(config, 1)).patterns).toHaveLength(2);
  });
});
