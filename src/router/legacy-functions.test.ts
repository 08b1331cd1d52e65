import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createRouterFixture } from '#test/support/router-fixture.ts';

let fixture: Awaited<ReturnType<typeof createRouterFixture>>;
let alice: { authorization: string };
beforeAll(async () => {
  fixture = await createRouterFixture();
  alice = await fixture.keyOf('acme', 'alice');
});
afterAll(() => fixture.close());

const MODEL = 'org/model-a';
const user = { role: 'user', content: 'x' };
const called = (name: string) => ({
  role: 'assistant',
  content: null,
  function_call: { name, arguments: '{}' },
});
const result = (name: string, content = 'done') => ({ role: 'function', name, content });
const send = (patch: Record<string, unknown>) =>
  fixture.app.inject({
    method: 'POST',
    url: '/v1/chat/completions',
    headers: alice,
    payload: { model: MODEL, messages: [user], ...patch },
  });
const lastTurn = () => fixture.turns.at(-1);

describe('the older form of function calls', () => {
  test('reaches engines as calls and results with ids that match', async () => {
    const messages = [
      user,
      called('look'),
      result('look', 'first'),
      called('look'),
      result('look', 'second'),
      result('other', 'nobody asked'),
    ];
    expect((await send({ messages })).statusCode).toBe(200);
    const call = (id: string) => ({
      role: 'assistant',
      content: null,
      tool_calls: [{ id, type: 'function', function: { name: 'look', arguments: '{}' } }],
    });
    expect(lastTurn()?.messages).toEqual([
      user,
      call('call00001'),
      { role: 'tool', name: 'look', content: 'first', tool_call_id: 'call00001' },
      call('call00003'),
      { role: 'tool', name: 'look', content: 'second', tool_call_id: 'call00003' },
      { role: 'tool', name: 'other', content: 'nobody asked', tool_call_id: 'call00005' },
    ]);
    expect(lastTurn()?.engine_parameters).toEqual({});
  });

  test('is history to our own models', async () => {
    for (const model of ['bulkhead-rag', 'bulkhead-chat']) {
      const response = await send({
        model,
        messages: [user, called('f'), result('f'), user],
        functions: [{ name: 'f' }],
      });
      expect(response.statusCode).toBe(200);
      expect(lastTurn()?.engine_parameters).toEqual({});
      const forced = await send({ model, functions: [{ name: 'f' }], function_call: { name: 'f' } });
      expect(forced.json().error).toMatchObject({ code: 'invalid_request', param: 'function_call' });
    }
  });

  test.each([
    ['functions.0.name', { functions: [{ name: 'Shell' }] }],
    ['functions.1.name', { functions: [{ name: 'f' }, { name: 'ѕhеll' }], stream: true }],
    ['functions.0.function.name', { functions: [{ name: 'f', function: { name: 'shell' } }] }],
    ['functions.0.name', { functions: [{ name: 'shell' }], function_call: 'none' }],
    ['functions.0.name', { model: MODEL, functions: [{ name: 'shell' }], function_call: { name: 'shell' } }],
    ['messages.1.function_call.name', { messages: [user, called('shell')] }],
    ['messages.1.name', { messages: [user, result('she\u200bll')] }],
    ['messages.0.function_call.name', { messages: [{ ...user, function_call: { name: 'shell' } }] }],
    [
      'messages.1.function_call.name',
      {
        messages: [
          user,
          { ...called('shell'), tool_calls: [{ id: 'c', function: { name: 'f', arguments: '{}' } }] },
        ],
      },
    ],
  ])('a blocked tool is refused in %s', async (param, patch) => {
    await fixture.setConfig('acme', { blocked_tools: ['shell'] });
    const turns = fixture.turns.length;
    for (const model of [MODEL, 'bulkhead-rag']) {
      const response = await send({ model, ...patch });
      expect([response.statusCode, response.json().error]).toMatchObject([
        403,
        { code: 'tool_blocked', param },
      ]);
    }
    expect(fixture.turns.length).toBe(turns);
    await fixture.setConfig('acme', { blocked_tools: [] });
  });

  test.each([
    ['functions.0.description', { functions: [{ name: 'f', description: 'about bluebird' }] }],
    ['messages.1.content', { messages: [user, result('f', 'Blue\u200bBird')] }],
    [
      'messages.1.function_call.arguments.q',
      {
        messages: [
          user,
          { ...called('f'), function_call: { name: 'f', arguments: '{"q":"\\u0062luebird"}' } },
        ],
      },
    ],
  ])('a sensitive pattern is refused in %s, by the client’s own field', async (param, patch) => {
    await fixture.setConfig('acme', { sensitive_patterns: [{ name: 'project', pattern: 'bluebird' }] });
    const response = await send(patch);
    expect([response.statusCode, response.json().error]).toMatchObject([
      403,
      { code: 'guardrail_refused', param },
    ]);
    await fixture.setConfig('acme', { sensitive_patterns: [] });
  });

  test('is guarded as results of tools are, whatever they say', async () => {
    await fixture.setConfig('acme', { guardrails: { secrets: { input: 'redact' } } });
    const token = `ghp_${'a1B2c3D4e5F6'.repeat(3)}`;
    expect((await send({ messages: [user, called('f'), result('f', `It is ${token}.`)] })).statusCode).toBe(
      200,
    );
    const message = lastTurn()?.messages.at(-1);
    expect(message).toMatchObject({ role: 'tool', tool_call_id: 'call00001' });
    expect(JSON.stringify(message)).not.toContain(token);
    await fixture.setConfig('acme', { guardrails: { secrets: { input: 'allow' } } });
  });

  test.each([
    ['functions', { functions: [{ name: 'f' }], tools: [{ type: 'function', function: { name: 'g' } }] }],
    ['functions.0.name', { functions: [{ description: 'no name' }] }],
    ['function_call', { functions: [{ name: 'f' }], function_call: { name: 'g' } }],
    ['function_call', { function_call: { name: 'f' } }],
    ['function_call', { functions: [{ name: 'f' }], function_call: {} }],
    ['messages.1.name', { messages: [user, { role: 'function', content: 'x' }] }],
    ['messages.1.function_call', { messages: [user, { ...called('f'), function_call: { name: 'f' } }] }],
    ['messages.1.function_call', { messages: [user, { ...called('f'), function_call: 'f' }] }],
  ])('what cannot be understood is named: %s', async (param, patch) => {
    const response = await send(patch);
    expect([response.statusCode, response.json().error]).toMatchObject([
      400,
      { code: 'invalid_request', param },
    ]);
  });
});
