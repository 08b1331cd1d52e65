import fc from 'fast-check';
import { RE2JS } from 're2js';
import { describe, expect, it } from 'vitest';
import { requiredLiteral } from '#router/policy/required-literal.ts';

describe('the literal that every match must hold', () => {
  it.each([
    ['[a-z0-9-]+\\.corp\\.example', '.corp.example'],
    ['\\bSEC-[0-9]{4,}\\b', 'SEC-'],
    ['password\\s*[:=]', 'password'],
    ['colou?r', 'colo'],
    ['ab+c', 'ab'],
    ['ab*cde', 'cde'],
    ['x{2}yz', 'yz'],
    ['(foo|bar)baz', 'baz'],
    ['^secret$', 'secret'],
    ['a.bc', 'bc'],
  ])('of %s is %s', (pattern, literal) => {
    expect(requiredLiteral(pattern)).toBe(literal);
  });

  it.each([
    'foo|bar',
    '(?i)foo',
    '\\Qfoo\\E',
    '[0-9]+',
    'a',
    '\\x41\\x42',
    '\\pLfoo',
    '[[:alpha:]]foo',
    '[]a]foo',
  ])('of %s is not sure', (pattern) => {
    expect(requiredLiteral(pattern)).toBeNull();
  });

  it('is in every text that matches, whatever the pattern', () => {
    const atom = fc.oneof(
      fc.constantFrom('a', 'b', 'c', '-', ' ', '\\.', '\\-', '\\b', '\\d', '\\w', '.', '^', '$', '|'),
      fc.constantFrom('[ab]', '[^a]', '[a\\]]', '(ab|c)', '(a(b|c))', '(ab)', '([)(]a)'),
    );
    const quantifier = fc.constantFrom('', '', '', '*', '+', '?', '{2}', '{0,1}', '*?');
    const pattern = fc
      .array(fc.tuple(atom, quantifier), { minLength: 1, maxLength: 8 })
      .map((parts) => parts.map(([text, times]) => text + times).join(''));
    const text = fc.string({
      unit: fc.constantFrom('a', 'b', 'c', '-', ' ', '.', '1', ')', ']'),
      maxLength: 12,
    });
    fc.assert(
      fc.property(pattern, fc.array(text, { minLength: 1, maxLength: 20 }), (source, texts) => {
        const literal = requiredLiteral(source);
        if (literal === null) return;
        let matcher: RE2JS;
        try {
          matcher = RE2JS.compile(source);
        } catch {
          return;
        }
        for (const candidate of texts) {
          if (matcher.test(candidate)) expect(candidate).toContain(literal);
        }
      }),
      { numRuns: 3_000 },
    );
  });
});
