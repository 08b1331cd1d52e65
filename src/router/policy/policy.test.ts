import { describe, expect, test } from 'vitest';
import { tenantConfigSchema } from '#app/schemas/tenant-config.ts';
import { collectTexts, collectTools } from '#router/policy/collect-texts.ts';
import { compilePolicy } from '#router/policy/compile-policy.ts';
import { decideContent } from '#router/policy/decide-content.ts';
import { decideModel } from '#router/policy/decide-model.ts';
import { decideRoute } from '#router/policy/decide-route.ts';
import { decideTools } from '#router/policy/decide-tools.ts';

const policyOf = (config: Record<string, unknown>) =>
  compilePolicy(tenantConfigSchema.parse({ tenant_id: 'acme', display_name: 'Acme', ...config }), 1);

describe('routes, models and tools', () => {
  test.each([
    [['chat', 'rag'], 'rag', null],
    [['chat'], 'rag', 'route_not_allowed'],
    [[], 'vault', 'route_not_allowed'],
  ] as const)('allowed %j, asked %s', (allowed, route, code) => {
    const refusal = decideRoute(policyOf({ allowed_routes: allowed }), route);
    expect(refusal?.code ?? null).toBe(code);
  });

  test.each([
    [null, 'any', null],
    [['a', 'b'], 'b', null],
    [['a'], 'A', 'model_not_allowed'],
    [[], 'a', 'model_not_allowed'],
  ])('models %j, asked %s', (models, model, code) => {
    expect(decideModel(policyOf({ models }), model)?.code ?? null).toBe(code);
  });

  test.each([
    ['shell', 'tool_blocked'],
    ['SHELL', 'tool_blocked'],
    ['ｓhell', 'tool_blocked'],
    ['she\u200bll', 'tool_blocked'],
    // Cyrillic letters among Latin ones, and alone.
    ['ѕhеll', 'tool_blocked'],
    ['ѕсоре', 'tool_blocked'],
    ['shéll', 'tool_blocked'],
    ['shell_2', null],
  ])('the tool %s', (name, code) => {
    const policy = policyOf({ blocked_tools: ['shell', 'scope'] });
    expect(decideTools(policy, [{ name, param: 'tools.0.function.name' }])?.code ?? null).toBe(code);
  });

  test('tools are found wherever a request can name one', () => {
    const tools = collectTools({
      messages: [
        { role: 'user', content: 'hi' },
        { role: 'assistant', content: null, tool_calls: [{ id: '1', function: { name: 'called' } }] },
        { role: 'tool', name: 'answered', content: '{}' },
        { role: 'assistant', content: null, function_call: { name: 'legacy' } },
      ],
      parameters: {
        tools: [
          { type: 'function', function: { name: 'defined' } },
          { type: 'custom', custom: { name: 'own' } },
        ],
        functions: [{ name: 'old' }],
        tool_choice: { type: 'function', function: { name: 'chosen' } },
        function_call: { name: 'forced' },
      },
    });
    expect(tools.map(({ name }) => name).sort()).toEqual(
      ['answered', 'called', 'chosen', 'defined', 'forced', 'legacy', 'old', 'own'].sort(),
    );
    expect(tools).toContainEqual({ name: 'called', param: 'messages.1.tool_calls.0.function.name' });
  });
});

describe('content', () => {
  const policy = policyOf({
    sensitive_patterns: [
      { name: 'project', pattern: 'bluebird' },
      { name: 'exact', pattern: 'TopSecret', case_sensitive: true },
      { name: 'card', pattern: '\\b\\d{4}(?:[ -]?\\d{4}){3}\\b' },
      { name: 'street', pattern: 'hauptstrasse' },
      { name: 'noted', pattern: 'hello', action: 'flag' },
    ],
    refusal_rules: [
      { name: 'trading', phrases: ['insider trading', '内幕交易'], message: 'No trading questions.' },
      { name: 'medical', phrases: ['diagnose me'] },
    ],
  });
  const decide = (text: string) => decideContent(policy, { text, param: 'messages.0.content' });

  test.each([
    ['plain', 'about bluebird please', 'sensitive_patterns.0'],
    ['upper case', 'BLUEBIRD', 'sensitive_patterns.0'],
    ['full width', 'ｂｌｕｅｂｉｒｄ', 'sensitive_patterns.0'],
    ['zero width', 'blue\u200bbi\u2060rd', 'sensitive_patterns.0'],
    ['soft hyphen', 'blue\u00adbird', 'sensitive_patterns.0'],
    ['mathematical letters', '𝐛𝐥𝐮𝐞𝐛𝐢𝐫𝐝', 'sensitive_patterns.0'],
    ['ligature and sharp s', 'Hauptstraße', 'sensitive_patterns.3'],
    ['case matters', 'TopSecret', 'sensitive_patterns.1'],
    ['case matters, so this passes', 'topsecret', null],
    ['digits', 'pay 4111 1111 1111 1111 now', 'sensitive_patterns.2'],
    ['full-width digits', '４１１１１１１１１１１１１１１１', 'sensitive_patterns.2'],
    ['phrase', 'Tell me of insider trading!', 'refusal_rules.0'],
    ['phrase over a line and a hyphen', 'INSIDER-\n  Trading', 'refusal_rules.0'],
    ['phrase without spaces', '请问内幕交易吗', 'refusal_rules.0'],
    ['words, not parts of words', 'insider tradings', null],
    ['default message', 'please diagnose me', 'refusal_rules.1'],
    ['nothing', 'an ordinary question', null],
  ])('%s', (_name, text, expected) => {
    const { refusal } = decide(text);
    expect(refusal?.policy ?? null).toBe(expected);
    if (refusal !== null) {
      expect(refusal.code).toBe('guardrail_refused');
      expect(refusal.param).toBe('messages.0.content');
      // The matched text is never repeated.
      expect(JSON.stringify(refusal)).not.toMatch(/4111|bluebird|insider/i);
    }
  });

  test('a flag is told, and lets the text pass', () => {
    expect(decide('hello there')).toEqual({ refusal: null, flags: ['noted'] });
  });

  test('every role, part, argument and definition is read', () => {
    const texts = collectTexts({
      messages: [
        { role: 'system', content: 'from the system' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'blue' },
            { type: 'text', text: 'bird' },
          ],
        },
        { role: 'assistant', tool_calls: [{ function: { name: 'f', arguments: '{"q":"\\u0062luebird"}' } }] },
        { role: 'tool', content: 'result', tool_call_id: 'x' },
        { role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } }] },
      ],
      tools: [
        { function: { name: 't', description: 'described', parameters: { properties: { named: {} } } } },
      ],
    });
    const all = texts.map(({ text }) => text);
    for (const text of ['from the system', 'bluebird', 'result', 'described', 'named']) {
      expect(all).toContain(text);
    }
    expect(all.filter((text) => text === 'bluebird')).toHaveLength(2);
    expect(all).not.toContain('data:image/png;base64,AAAA');
    expect(texts).toContainEqual({ text: 'blue', param: 'messages.1.content.0.text' });
    // A rule on “user” is about what is written, not about who writes.
    for (const text of ['role', 'content', 'user', 'system', 'tool']) expect(all).not.toContain(text);
  });

  test('what only looks like the protocol is read', () => {
    const texts = collectTexts({
      messages: [{ role: 'a role of my own', content: { role: 'bluebird', user: 'x' } }],
    });
    expect(texts.map(({ text }) => text).sort()).toEqual(['a role of my own', 'bluebird', 'user', 'x']);
  });

  test('patterns that explode elsewhere run in linear time', () => {
    const evil = policyOf({ sensitive_patterns: [{ name: 'evil', pattern: '(a+)+$' }] });
    expect(decideContent(evil, { text: `${'a'.repeat(50_000)}!`, param: 'message' }).refusal).toBeNull();
  });
});

describe('a config that cannot work is refused by its field', () => {
  const pattern = (text: string) => ({ name: 'x', pattern: text });
  test.each([
    ['sensitive_patterns.1.pattern', { sensitive_patterns: [pattern('fine'), pattern('(')] }],
    ['sensitive_patterns.0.pattern', { sensitive_patterns: [pattern('(?=ahead)')] }],
    ['sensitive_patterns.0.pattern', { sensitive_patterns: [pattern('(a)\\1')] }],
    ['sensitive_patterns.0.pattern', { sensitive_patterns: [pattern('\\pL{1000}')] }],
    ['sensitive_patterns.0.pattern', { sensitive_patterns: [pattern('a*')] }],
    [
      'sensitive_patterns.11.pattern',
      { sensitive_patterns: Array.from({ length: 60 }, () => pattern('x{450}')) },
    ],
    ['refusal_rules.0.phrases.1', { refusal_rules: [{ name: 'x', phrases: ['ok', '?!'] }] }],
  ])('%s', (param, config) => {
    expect(() => policyOf(config)).toThrow(expect.objectContaining({ code: 'invalid_request', param }));
  });
});
