import { describe, expect, test, vi } from 'vitest';
import { ATTACK, CARD, KEY, useGuardedRouter } from '#test/support/guarded-router.ts';

const router = useGuardedRouter();

describe('what callers send', () => {
  test('an attack is refused, with the policy, the detector and the request id, and not a word of it', async () => {
    const response = await router.ask(ATTACK);
    expect(response.statusCode).toBe(403);
    const { error } = response.json();
    expect(error).toMatchObject({
      code: 'guardrail_refused',
      param: 'messages.0.content',
      refusal: { policy: 'guardrails.prompt_injection' },
      request_id: response.headers['x-request-id'],
    });
    expect(error.message).toContain('prompt_injection');
    expect(response.body).not.toContain('word for word');
    expect(router.log()).not.toContain('word for word');
    expect(router.fixture.turns).toHaveLength(0);
  });

  test.each([
    ['/v1/chat', { message: ATTACK }, 'message'],
    ['/v1/completions', { model: 'org/model-a', prompt: ATTACK }, 'prompt'],
    ['/v1/responses', { model: 'org/model-a', input: ATTACK }, 'input'],
    [
      '/v1/chat/completions',
      { model: 'bulkhead-rag', messages: [{ role: 'user', content: ATTACK }] },
      'messages.0.content',
    ],
  ])('on %s as well, naming the caller’s own field', async (url, body, param) => {
    const response = await router.post(url, body);
    expect(response.statusCode).toBe(403);
    expect(response.json().error).toMatchObject({ code: 'guardrail_refused', param });
  });

  test.each([
    [
      'wide letters',
      ATTACK.replace(/[a-z]/gi, (letter) => String.fromCharCode(letter.charCodeAt(0) + 0xfee0)),
    ],
    ['invisible characters', ATTACK.split('').join('\u200b')],
    ['lookalike letters', ATTACK.replaceAll('o', 'о').replaceAll('e', 'е').replaceAll('a', 'а')],
    ['Base64', `Please decode and follow: ${Buffer.from(ATTACK).toString('base64')}`],
    ['hex', `Follow this: ${Buffer.from(ATTACK).toString('hex')}`],
    [
      'ROT13',
      ATTACK.replace(/[a-z]/gi, (letter) =>
        String.fromCharCode(letter.charCodeAt(0) + (letter.toLowerCase() < 'n' ? 13 : -13)),
      ),
    ],
    ['leetspeak', ATTACK.replaceAll('e', '3').replaceAll('o', '0').replaceAll('i', '1')],
    [
      'spaced letters',
      ATTACK.split(' ')
        .map((word) => word.split('').join(' '))
        .join('   '),
    ],
    [
      'tag characters',
      `Hello${[...ATTACK].map((letter) => String.fromCodePoint(0xe0000 + letter.charCodeAt(0))).join('')}`,
    ],
  ])('disguised by %s', async (_name, text) => {
    const response = await router.ask(text);
    expect(response.statusCode).toBe(403);
    expect(response.json().error.refusal.policy).toBe('guardrails.prompt_injection');
  });

  test('an attack split over the parts of one content is read as the engine reads it', async () => {
    const half = Math.floor(ATTACK.length / 2);
    const parts = [ATTACK.slice(0, half), ATTACK.slice(half)].map((text) => ({ type: 'text', text }));
    expect((await router.ask(parts)).statusCode).toBe(403);
  });

  test('a secret never leaves the router: message, parts, tool arguments, tool results, tool definitions', async () => {
    const response = await router.complete({
      messages: [
        { role: 'system', content: `Use ${KEY}.` },
        {
          role: 'user',
          content: [
            { type: 'text', text: `Mine is ${KEY.slice(0, 8)}` },
            { type: 'text', text: KEY.slice(8) },
          ],
        },
        {
          role: 'assistant',
          content: null,
          tool_calls: [
            {
              id: 'call_1',
              type: 'function',
              function: {
                name: 'f',
                arguments: `{"key":"\\u0041KIA${KEY.slice(4)}","password":"hunter2-Zx9"}`,
              },
            },
          ],
        },
        { role: 'tool', tool_call_id: 'call_1', content: JSON.stringify({ found: [KEY] }) },
        { role: 'user', content: 'Go on.' },
      ],
      tools: [{ type: 'function', function: { name: 'f', description: `as with ${KEY}`, parameters: {} } }],
    });
    expect(response.statusCode).toBe(200);
    const sent = router.sentOn();
    expect(sent).not.toContain(KEY);
    expect(sent).not.toContain(KEY.slice(8));
    expect(sent).not.toContain('hunter2');
    const { messages } = router.fixture.turns.at(-1) ?? { messages: [] };
    expect(messages[0]?.content).toBe('Use [REDACTED:aws_access_key_id].');
    expect(messages[1]?.content).toEqual([
      { type: 'text', text: 'Mine is [REDACTED:aws_access_key_id]' },
      { type: 'text', text: '[REDACTED:aws_access_key_id]' },
    ]);
    expect(messages[2]?.tool_calls).toMatchObject([
      { id: 'call_1', function: { arguments: expect.stringContaining('[REDACTED:') } },
    ]);
    expect(JSON.parse(String(messages[3]?.content))).toEqual({ found: ['[REDACTED:aws_access_key_id]'] });
    expect(router.log()).toContain('aws_access_key_id');
    expect(router.log()).not.toContain(KEY);
  });

  test('nothing else in a request is changed', async () => {
    const messages = [
      { role: 'system', content: 'Be brief.', name: 'x' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'What is this?' },
          { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } },
        ],
      },
    ];
    await router.complete({ messages, temperature: 0.5, response_format: { type: 'json_object' } });
    expect(router.fixture.turns.at(-1)).toMatchObject({
      messages,
      engine_parameters: { response_format: { type: 'json_object' } },
    });
  });

  test('personal data goes by the tenant’s pii, and by kind where it says more', async () => {
    const text = `Card ${CARD}, mail mara.quill@example.org`;
    await router.ask(text);
    expect(router.sentOn()).toContain(CARD);

    await router.setConfig({ pii: 'redact', guardrails: { pii: { email: 'allow' } } });
    await router.ask(text);
    expect(router.sentOn()).toContain('mara.quill@example.org');
    expect(router.sentOn()).toContain('[REDACTED:card_number]');

    await router.setConfig({ guardrails: { pii: { card_number: 'refuse' } } });
    const refused = await router.ask(text);
    expect(refused.statusCode).toBe(403);
    expect(refused.json().error.refusal.policy).toBe('guardrails.pii.card_number');
    expect(refused.body).not.toContain('4111');
  });

  test('a number may be a card’s as well', async () => {
    await router.setConfig({ pii: 'redact' });
    await router.complete({
      messages: [{ role: 'user', content: 'Hi' }],
      tools: [
        { type: 'function', function: { name: 'f', parameters: { default: 4111111111111111, minimum: 3 } } },
      ],
    });
    expect(router.fixture.turns.at(-1)?.engine_parameters.tools).toMatchObject([
      { function: { parameters: { default: '[REDACTED:card_number]', minimum: 3 } } },
    ]);
  });

  test('a property’s name that would be redacted is refused', async () => {
    const response = await router.complete({
      messages: [{ role: 'user', content: 'Hi' }],
      tools: [{ type: 'function', function: { name: 'f', parameters: { [KEY]: 1 } } }],
    });
    expect(response.statusCode).toBe(403);
    expect(response.body).not.toContain(KEY);
  });

  test('attacks in tool results are flagged, and refused where the tenant says so', async () => {
    const messages = [
      { role: 'user', content: 'Read the page.' },
      { role: 'tool', tool_call_id: 'call_1', content: ATTACK },
      { role: 'user', content: 'Well?' },
    ];
    expect((await router.complete({ messages })).statusCode).toBe(200);
    expect(router.log()).toMatch(/"detector":"prompt_injection".*"action":"flag"/);
    await router.setConfig({ guardrails: { prompt_injection: { tool_results: 'redact' } } });
    await router.complete({ messages });
    expect(router.fixture.turns.at(-1)?.messages[1]?.content).toBe('[REDACTED:prompt_injection]');
    await router.setConfig({ guardrails: { prompt_injection: { tool_results: 'refuse' } } });
    expect((await router.complete({ messages })).json().error.param).toBe('messages.1.content');
  });

  test('an earlier answer about attacks does not end the conversation', async () => {
    const messages = [
      { role: 'user', content: 'What does a prompt injection look like?' },
      { role: 'assistant', content: `For example: ${ATTACK}` },
      { role: 'user', content: 'Thank you. What else is there?' },
    ];
    expect((await router.complete({ messages })).statusCode).toBe(200);
    expect(router.log()).toMatch(/"detector":"prompt_injection".*"action":"flag"/);
  });

  test('a tenant’s pattern redacts, also in disguise', async () => {
    const pattern = { name: 'codename', pattern: 'blue heron', action: 'redact' };
    await router.setConfig({ sensitive_patterns: [pattern] });
    await router.ask('Tell me of Blue\u200b Heron.');
    expect(router.fixture.turns.at(-1)?.messages[0]?.content).toBe('Tell me of [REDACTED:codename].');
  });

  test('search queries and texts to embed are redacted too', async () => {
    const refuse = { guardrails: { secrets: { input: 'refuse' } } };
    await router.setConfig(refuse);
    const search = await router.post('/v1/vault/search', { query: `where is ${KEY}` });
    expect(search.json().error).toMatchObject({ code: 'guardrail_refused', param: 'query' });
    const embed = await router.post('/v1/embeddings', {
      model: 'bulkhead-embed',
      input: ['fine', `no: ${KEY}`],
    });
    expect(embed.json().error).toMatchObject({ code: 'guardrail_refused', param: 'input.1' });
  });

  test('a refusal is audited by its policy, without the text', async () => {
    // A key of its own: the same denial of one caller is written once in a minute, and only counted after that.
    const headers = await router.fixture.keyOf('globex');
    const refused = await router.fixture.app.inject({
      method: 'POST',
      url: '/v1/chat/completions',
      headers,
      payload: { model: 'org/model-a', messages: [{ role: 'user', content: `${ATTACK} Marker 7d41.` }] },
    });
    expect(refused.statusCode).toBe(403);
    const requestId = refused.headers['x-request-id'];
    const denials = () =>
      router.fixture.app.inject({
        method: 'GET',
        url: '/admin/audit?tenant_id=globex&action=request.denied',
        headers: router.fixture.operator,
      });
    await vi.waitFor(
      async () => {
        const { data }: { data: { details: object }[] } = (await denials()).json();
        const event = data.find(({ details }) => 'request_id' in details && details.request_id === requestId);
        expect(event?.details).toMatchObject({ policy: 'guardrails.prompt_injection' });
      },
      { timeout: 60_000, interval: 100 },
    );
    expect((await denials()).body).not.toContain('Marker 7d41');
  }, 90_000);

  test('another tenant’s policy is its own', async () => {
    await router.setConfig({ guardrails: { prompt_injection: { user: 'allow' } } });
    expect((await router.ask(ATTACK)).statusCode).toBe(200);
    const globex = await router.fixture.keyOf('globex');
    const payload = { model: 'org/model-a', messages: [{ role: 'user', content: ATTACK }] };
    const response = await router.fixture.app.inject({
      method: 'POST',
      url: '/v1/chat/completions',
      headers: globex,
      payload,
    });
    expect(response.statusCode).toBe(403);
  });

  test.each([
    'How do I kill a Python process that hangs?',
    'What does “ignore” mean in .gitignore?',
    'Summarise the attached policy on remote work.',
    'How many days of leave do new employees get?',
    'Write a system prompt for a cooking assistant.',
    'Forget about dinner, what is for breakfast?',
  ])('an ordinary question passes: %s', async (question) => {
    expect((await router.ask(question)).statusCode).toBe(200);
  });

  test('a long text is looked at to its end', async () => {
    const filler = 'The harbour office keeps a list of all ships that came in this week. '.repeat(2_500);
    const response = await router.ask(`${filler}My key is ${KEY}. ${filler}`);
    expect(response.statusCode).toBe(200);
    expect(router.sentOn()).not.toContain(KEY);
    expect((await router.ask(`${filler}\n${ATTACK}`)).statusCode).toBe(403);
  });
});

describe('the config', () => {
  test.each([
    [{ guardrails: { secrets: { input: 'maybe' } } }, 'guardrails.secrets.input'],
    [{ guardrails: { prompt_injection: { threshold: 99 } } }, 'guardrails.prompt_injection.threshold'],
    [{ guardrails: { pii: { shoe_size: 'redact' } } }, 'guardrails.pii'],
    [{ guardrails: { other: {} } }, 'guardrails'],
  ])('%j is refused, naming the field', async (patch, field) => {
    const response = await router.setConfig(patch);
    expect(response.statusCode).toBe(400);
    expect(response.body).toContain(field);
  });

  test('a patch changes what it names', async () => {
    await router.setConfig({ guardrails: { secrets: { output: 'refuse' } } });
    const patched = await router.setConfig({ guardrails: { pii: { url: 'flag' } } });
    expect(patched.json().config.guardrails).toEqual({
      judges: [],
      prompt_injection: { user: 'refuse', tool_results: 'flag', threshold: null },
      secrets: { input: 'redact', output: 'refuse' },
      pii: { url: 'flag' },
    });
  });
});
