import { expect, it } from 'vitest';
import { parseAssignments } from '#cli/parse-assignments.ts';

it('reads paths and JSON values, and text where a value is no JSON', () => {
  expect(
    parseAssignments([
      'rag.top_k=8',
      'rag.rerank=true',
      'display_name=Acme = Co',
      'models=["a"]',
      'weight=2',
    ]),
  ).toEqual({ rag: { top_k: 8, rerank: true }, display_name: 'Acme = Co', models: ['a'], weight: 2 });
});

it('goes over what a file says, and leaves the file’s object alone', () => {
  const base = { rag: { top_k: 3, diversity: 0 } };
  expect(parseAssignments(['rag.top_k=4'], base)).toEqual({ rag: { top_k: 4, diversity: 0 } });
  expect(base.rag.top_k).toBe(3);
});

it.each([
  'enabled',
  '=1',
  '.a=1',
  'a..b=1',
  '__proto__.x=1',
  'a.__proto__.b=1',
  'constructor.prototype.x=1 ',
])('never reaches a prototype and refuses what is no assignment: %s', (text) => {
  const before = Object.keys(Object.prototype).length;
  try {
    parseAssignments([text]);
  } catch (error) {
    expect(error).toMatchObject({ exitCode: 2 });
  }
  expect(Object.keys(Object.prototype).length).toBe(before);
  expect('x' in {}).toBe(false);
});
