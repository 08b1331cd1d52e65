import { describe, expect, it } from 'vitest';
import { estimateTurnTokens } from '#router/limits/estimate-tokens.ts';

const COMPLETIONS = '/v1/chat/completions';
const estimate = (body: unknown, bodyBytes: number, surface = COMPLETIONS) =>
  estimateTurnTokens({ surface, body, bodyBytes });

describe('estimateTurnTokens', () => {
  it('counts the prompt, whatever the client says of the answer', () => {
    expect(estimate({ model: 'm', max_tokens: 1 }, 4_000)).toBe(1_001);
  });

  it('assumes an answer where the client bounds none', () => {
    expect(estimate({ model: 'm' }, 400)).toBeGreaterThan(1_000);
  });

  it('adds the passages on routes that retrieve', () => {
    const plain = estimate({ model: 'm', max_tokens: 10 }, 100);
    expect(estimate({ model: 'bulkhead-rag', max_tokens: 10 }, 100)).toBeGreaterThan(plain);
    expect(estimate({ message: 'hi', max_tokens: 10 }, 100, '/v1/chat')).toBeGreaterThan(plain);
  });

  it.each([
    ['/v1/chat/completions', { max_completion_tokens: 5_000, max_tokens: 1, max_output_tokens: 1 }],
    ['/v1/chat/completions', { max_completion_tokens: null, max_tokens: 5_000, max_output_tokens: 1 }],
    ['/v1/completions', { max_completion_tokens: 1, max_tokens: 5_000, max_output_tokens: 1 }],
    ['/v1/responses', { max_completion_tokens: 1, max_tokens: 1, max_output_tokens: 5_000 }],
  ])('goes by what %s reads: %j', (surface, body) => {
    expect(estimate(body, 0, surface)).toBe(5_000);
  });

  it.each([
    ['/v1/chat/completions', { max_output_tokens: 1 }],
    ['/v1/completions', { max_completion_tokens: 1, max_output_tokens: 1 }],
    ['/v1/responses', { max_completion_tokens: 1, max_tokens: 1 }],
  ])('takes no other surface’s word on %s: %j', (surface, body) => {
    expect(estimate(body, 0, surface)).toBe(estimate({}, 0, surface));
  });

  it.each([
    ['messages', { type: 'image_url', image_url: { url: 'data:image/png;base64,' } }],
    ['input', { type: 'input_image', image_url: 'data:image/png;base64,' }],
  ])('takes an image of %s for an image, however many bytes it has', (field, { type, image_url: given }) => {
    const url = `data:image/png;base64,${'A'.repeat(1_000_000)}`;
    const image = { type, image_url: typeof given === 'string' ? url : { url } };
    const body = { [field]: [{ role: 'user', content: [{ type: 'text', text: 'x' }, image] }], n: 1 };
    const tokens = estimate({ ...body, max_tokens: 0 }, JSON.stringify(body).length);
    expect(tokens).toBeGreaterThan(1_000);
    expect(tokens).toBeLessThan(1_100);
  });

  it('counts every answer that is asked for', () => {
    expect(estimate({ max_tokens: 50, n: 3 }, 0)).toBe(150);
  });

  it.each([[null], ['text'], [undefined]])('holds nothing for a body that is %j', (body) => {
    expect(estimate(body, 100)).toBe(0);
  });
});
