import { describe, expect, it } from 'vitest';
import { estimateTurnTokens } from '#router/limits/estimate-tokens.ts';

describe('estimateTurnTokens', () => {
  it('counts the prompt, whatever the client says of the answer', () => {
    expect(estimateTurnTokens({ model: 'm', max_tokens: 1 }, 4_000)).toBe(1_001);
  });

  it('assumes an answer where the client bounds none', () => {
    expect(estimateTurnTokens({ model: 'm' }, 400)).toBeGreaterThan(1_000);
  });

  it('adds the passages on routes that retrieve', () => {
    const plain = estimateTurnTokens({ model: 'm', max_tokens: 10 }, 100);
    expect(estimateTurnTokens({ model: 'bulkhead-rag', max_tokens: 10 }, 100)).toBeGreaterThan(plain);
    expect(estimateTurnTokens({ message: 'hi', max_tokens: 10 }, 100)).toBeGreaterThan(plain);
  });

  it.each([['max_completion_tokens'], ['max_output_tokens']])('knows %s', (name) => {
    expect(estimateTurnTokens({ [name]: 50 }, 0)).toBe(50);
  });

  it('counts every answer that is asked for', () => {
    expect(estimateTurnTokens({ max_tokens: 50, n: 3 }, 0)).toBe(150);
  });

  it.each([[null], ['text'], [undefined]])('holds nothing for a body that is %j', (body) => {
    expect(estimateTurnTokens(body, 100)).toBe(0);
  });
});
