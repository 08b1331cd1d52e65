import { describe, expect, it } from 'vitest';
import { estimateTokens } from '#router/limits/estimate-tokens.ts';

describe('estimateTokens', () => {
  it('counts the prompt, whatever the client says of the answer', () => {
    expect(estimateTokens({ model: 'm', max_tokens: 1 }, 4_000)).toBe(1_001);
  });

  it('assumes an answer where the client bounds none', () => {
    expect(estimateTokens({ model: 'm' }, 400)).toBeGreaterThan(1_000);
  });

  it('adds the passages on routes that retrieve', () => {
    const plain = estimateTokens({ model: 'm', max_tokens: 10 }, 100);
    expect(estimateTokens({ model: 'bulkhead-rag', max_tokens: 10 }, 100)).toBeGreaterThan(plain);
    expect(estimateTokens({ message: 'hi', max_tokens: 10 }, 100)).toBeGreaterThan(plain);
  });

  it.each([['max_completion_tokens'], ['max_output_tokens']])('knows %s', (name) => {
    expect(estimateTokens({ [name]: 50 }, 0)).toBe(50);
  });

  it.each([[null], ['text'], [undefined]])('holds nothing for a body that is %j', (body) => {
    expect(estimateTokens(body, 100)).toBe(0);
  });
});
