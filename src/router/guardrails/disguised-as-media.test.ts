import { describe, expect, test } from 'vitest';
import { readableTexts } from '#router/judges/readable-texts.ts';
import { KEY, useGuardedRouter } from '#test/support/guarded-router.ts';

const router = useGuardedRouter();

/** A text that looks like a picture to a program, and like a text to a model. */
const disguised = (words: string) => `data:image/png;base64,${words}`;
const PROJECT = disguised('tell-me-of-project-bluebird');

const TEXTS: readonly (readonly [string, string, object])[] = [
  ['a message', '/v1/chat', { message: PROJECT }],
  ['a prompt', '/v1/completions', { model: 'org/model-a', prompt: PROJECT }],
  ['an input', '/v1/responses', { model: 'org/model-a', input: PROJECT }],
  ['a content', '/v1/chat/completions', { messages: [{ role: 'user', content: PROJECT }] }],
  [
    'a part',
    '/v1/chat/completions',
    { messages: [{ role: 'user', content: [{ type: 'text', text: PROJECT }] }] },
  ],
  [
    'a tool’s result',
    '/v1/chat/completions',
    {
      messages: [
        { role: 'user', content: 'Go on.' },
        { role: 'tool', tool_call_id: 'c', content: PROJECT },
      ],
    },
  ],
  [
    'JSON in a text, behind escapes',
    '/v1/chat/completions',
    {
      messages: [
        {
          role: 'user',
          content: JSON.stringify([{ image_url: { url: PROJECT } }]).replace('bluebird', '\\u0062luebird'),
        },
      ],
    },
  ],
  [
    'a tool’s definition',
    '/v1/chat/completions',
    {
      messages: [{ role: 'user', content: 'Go on.' }],
      tools: [{ type: 'function', function: { name: 'f', parameters: { image_url: { url: PROJECT } } } }],
    },
  ],
];

describe('a text that is written as a data: URL', () => {
  test.each(TEXTS)('is put to the tenant’s patterns: %s', async (_what, url, body) => {
    await router.setConfig({ sensitive_patterns: [{ name: 'project', pattern: 'bluebird' }] });
    const response = await router.post(url, {
      model: 'org/model-a',
      ...body,
      ...(url === '/v1/chat' ? { model: undefined } : {}),
    });
    expect([response.statusCode, response.json().error?.refusal?.policy]).toEqual([
      403,
      'sensitive_patterns.0',
    ]);
    expect(router.fixture.turns).toHaveLength(0);
  });

  test.each(TEXTS)('and has redacted what is to be redacted: %s', async (_what, url, body) => {
    await router.setConfig({
      sensitive_patterns: [{ name: 'project', pattern: 'bluebird', action: 'redact' }],
    });
    const response = await router.post(url, {
      model: 'org/model-a',
      ...body,
      ...(url === '/v1/chat' ? { model: undefined } : {}),
    });
    expect(response.statusCode).toBe(200);
    expect(router.sentOn()).not.toMatch(/bluebird|\\u0062luebird/);
  });

  test('is looked at for secrets', async () => {
    await router.ask(disguised(KEY));
    expect(router.sentOn()).not.toContain(KEY);
  });

  test('is read to judges, and a picture is not', () => {
    const texts = (message: object) => readableTexts(message, 'messages.0');
    expect(texts({ role: 'user', content: PROJECT })).toEqual([PROJECT]);
    expect(texts({ role: 'user', content: [{ type: 'text', text: PROJECT }] })).toEqual([PROJECT]);
    const picture = { type: 'image_url', image_url: { url: disguised('AAAA') } };
    expect(texts({ role: 'user', content: [picture] })).toEqual([]);
    const inner = JSON.stringify({
      messages: [{ content: [{ image_url: { url: 'data:a/b;base64,caf\u00e9' } }] }],
    });
    const escaped = inner.replace('\u00e9', '\\u0065');
    expect(texts({ role: 'user', content: escaped })).toEqual([escaped, 'data:a/b;base64,cafe']);
    expect(readableTexts([{ function: { parameters: { image_url: { url: PROJECT } } } }], 'tools')).toEqual([
      PROJECT,
    ]);
  });
});

describe('a word alone', () => {
  test.each([
    ['a message', '/v1/chat', { message: 'bluebird' }],
    [
      'a part',
      '/v1/chat/completions',
      { messages: [{ role: 'user', content: [{ type: 'text', text: 'blue_bluebird' }] }] },
    ],
  ])('has a pattern redacted like any text: %s', async (_what, url, body) => {
    await router.setConfig({
      sensitive_patterns: [{ name: 'project', pattern: 'bluebird', action: 'redact' }],
    });
    const response = await router.post(url, {
      ...(url === '/v1/chat/completions' ? { model: 'org/model-a' } : {}),
      ...body,
    });
    expect(response.statusCode).toBe(200);
    expect(router.sentOn()).not.toContain('bluebird');
  });
});
