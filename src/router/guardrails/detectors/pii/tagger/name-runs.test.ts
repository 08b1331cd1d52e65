import { expect, test } from 'vitest';
import { nameRunsOf } from '#router/guardrails/detectors/pii/tagger/name-runs.ts';
import { piiTokensOf } from '#router/guardrails/detectors/pii/tagger/pii-tokens.ts';

function runsOf(text: string): string[] {
  const tokens = piiTokensOf(text);
  const { firsts, lasts } = nameRunsOf(tokens, new Uint16Array(tokens.count));
  return Array.from(firsts, (first, run) =>
    text.slice(tokens.starts[first], tokens.ends[lasts[run] ?? first]),
  );
}

test.each([
  ['the Society of Friends of the Earth met', ['Society of Friends of the Earth']],
  ['Smith & Sons, Ltd', ['Smith & Sons', 'Ltd']],
  ['Paris.\nLondon of old', ['Paris', 'London']],
  ['Bank of and for the people', ['Bank']],
  ['nothing here', []],
  ['', []],
])('%j', (text, expected) => {
  expect(runsOf(text)).toEqual(expected);
});

test('what lists say of one word is said of the run', () => {
  const tokens = piiTokensOf('in New York City');
  const { lists, runOf } = nameRunsOf(tokens, Uint16Array.from([1, 2, 4, 8]));
  expect([...lists]).toEqual([14]);
  expect([...runOf]).toEqual([-1, 0, 0, 0]);
});
