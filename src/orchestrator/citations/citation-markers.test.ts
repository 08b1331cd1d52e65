import { expect, it } from 'vitest';
import { citedNumbers, withoutMarkers } from '#orchestrator/citations/citation-markers.ts';

it.each<[string, number[]]>([
  ['A [1]. B [2][3].', [1, 2, 3]],
  ['A [3, 1]. B [1].', [3, 1]],
  ['A [2-4].', [2, 3, 4]],
  ['A 【2】 and word[1].', [2, 1]],
  ['A [0], [6], [999] and [5].', [5]],
  ['A [1-999].', [1, 2, 3, 4, 5]],
  ['A [4-2].', []],
  ['Quoted from a source: [ 2 ].', []],
  ['Code `args[1]` and\n```\nlist[2]\n```\nthen [3].', [3]],
  ['```\nunclosed [1]', []],
  ['[text](1) [a] [] [1', []],
  ['', []],
])('%j cites %j of five', (text, numbers) => {
  expect(citedNumbers(text, 5)).toEqual(numbers);
});

it('stays quick on text made to be slow', () => {
  for (const text of ['[1,'.repeat(50_000), '`'.repeat(99_999), '[1-'.repeat(50_000)]) {
    expect(citedNumbers(text, 5)).toEqual([]);
  }
});

it('leaves markers out of what the next turn sees', () => {
  expect(withoutMarkers('The port is 8080 [1]. TLS [1, 2] is on【3】.')).toBe('The port is 8080. TLS is on.');
});
