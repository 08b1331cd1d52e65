import { describe, expect, test } from 'vitest';
import type { EntityKind } from '#router/guardrails/detectors/pii/tagger/labels.ts';
import { isPlausible } from '#router/guardrails/detectors/pii/tagger/plausible.ts';

/** What stands between the brackets ⟦ and ⟧ is what the tagger found. */
function judged(kind: EntityKind, marked: string, isListed = false): boolean {
  const start = marked.indexOf('⟦');
  const end = marked.indexOf('⟧') - 1;
  return isPlausible(kind, marked.replace(/[⟦⟧]/g, ''), start, end, isListed);
}

describe('could be', () => {
  test.each([
    ['person', 'I am ⟦Ann-Marie O’Brien⟧.'],
    ['person', 'by ⟦Ian McDonald⟧, 2020'],
    ['person', 'from ⟦LaToya DeVries⟧'],
    ['person', '"name":"⟦Ólafur Þór⟧"'],
    ['person', '姓名：⟦王小明⟧'],
    ['address', 'at ⟦12 Main St⟧.'],
    ['address', '> ⟦5 Elm Road\n> 1234 Town⟧'],
    ['address', 'in ⟦Lindenallee⟧'],
    ['address', 'at ⟦Flat 2B, 10 High Street, SW1A 1AA⟧'],
    ['license', "driver's license ⟦B1234567⟧"],
    ['license', 'DL: ⟦D123-4567-8901⟧, class B'],
    ['date', '⟦x⟧'],
  ] as const)('%s in %s', (kind, marked) => {
    expect(judged(kind, marked)).toBe(true);
  });

  test('a name in small letters, where a list has it', () => {
    expect(judged('person', 'i am ⟦john smith⟧', true)).toBe(true);
    expect(judged('person', 'return ⟦stream⟧')).toBe(false);
  });
});

describe('cannot be', () => {
  test.each([
    ['person', 'let ⟦statusCode⟧ = 1'],
    ['person', 'new ⟦APIConnectionTimeoutError⟧'],
    ['person', '⟦z⟧.string()'],
    ['person', '⟦Foo⟧(1)'],
    ['person', '$⟦Name⟧'],
    ['person', 'the ⟦`BigInt`⟧ type'],
    ['person', '⟦Level 4⟧'],
    ['address', 'const ⟦{ a, b, c }⟧'],
    ['address', 'after ⟦400⟧ ms'],
    ['address', 'of ⟦16 KB⟧'],
    ['address', 'sha512-⟦aAQe7iArcFB2w1xtx91l3l9trxhMzD6⟧a'],
    ['license', 'Smallest ⟦8011136⟧ bytes'],
    ['license', 'claude-⟦20240229⟧'],
    ['license', 'license ⟦V8⟧'],
    ['license', 'license sha512-⟦YzVGTHXf4b12345⟧'],
  ] as const)('%s in %s', (kind, marked) => {
    expect(judged(kind, marked, true)).toBe(false);
  });
});
