import { describe, expect, test } from 'vitest';
import { chunkIdSchema, newDocumentId } from '#app/ids.ts';
import type { Citation } from '#app/schemas/multi-tenant-vault-chunk.ts';
import {
  ATTACK,
  CARD,
  contentOf,
  deltas,
  framesOf,
  KEY,
  saying,
  useGuardedRouter,
} from '#test/support/guarded-router.ts';
import { type TurnScript, threeWords } from '#test/support/router-fixture.ts';

const router = useGuardedRouter();

describe('what callers are answered', () => {
  const text = `The key is ${KEY}, keep it. And ${CARD} is the card.`;

  test.each([true, false])('secrets are redacted, streamed: %s', async (stream) => {
    router.fixture.script.turn = saying(text);
    const response = await router.complete({ messages: [{ role: 'user', content: 'Hi' }], stream });
    const said = stream ? contentOf(response.body) : response.json().choices[0].message.content;
    expect(said).toBe(`The key is [REDACTED:aws_access_key_id], keep it. And ${CARD} is the card.`);
    expect(response.body).not.toContain(KEY.slice(4));
  });

  test.each([
    ['/v1/chat', { message: 'Hi', stream: true }],
    ['/v1/chat', { message: 'Hi' }],
    ['/v1/completions', { model: 'org/model-a', prompt: 'Hi', stream: true }],
    ['/v1/responses', { model: 'org/model-a', input: 'Hi', stream: true }],
    ['/v1/responses', { model: 'org/model-a', input: 'Hi' }],
  ])('on %s as well: %j', async (url, body) => {
    router.fixture.script.turn = async function* (context, request, signal) {
      if (request.route === 'direct') return yield* saying(text)(context, request, signal);
      for await (const event of threeWords(context, request, signal)) {
        if (event.type !== 'delta') yield event;
        if (event.type === 'started') for (const character of text) yield { type: 'delta', text: character };
      }
    };
    const { body: answer, statusCode } = await router.post(url, body);
    expect(statusCode).toBe(200);
    expect(answer).toContain('[REDACTED:aws_access_key_id]');
    expect(answer).not.toContain(KEY);
  });

  test('tool arguments are held until they are complete, and stay JSON', async () => {
    const args = `{"key":"\\u0041KIA${KEY.slice(4)}","note":"fine"}`;
    router.fixture.script.turn = deltas([
      { role: 'assistant', content: null },
      {
        tool_calls: [{ index: 0, id: 'call_1', type: 'function', function: { name: 'save', arguments: '' } }],
      },
      ...[...args].map((piece) => ({ tool_calls: [{ index: 0, function: { arguments: piece } }] })),
      {},
    ]);
    const response = await router.complete({ messages: [{ role: 'user', content: 'Hi' }], stream: true });
    const calls = framesOf(response.body)
      .filter((data) => data !== '[DONE]')
      .flatMap((data) => JSON.parse(data).choices?.[0]?.delta?.tool_calls ?? []);
    const joined = calls.map((call) => call.function?.arguments ?? '').join('');
    expect(calls.every(({ index }) => index === 0)).toBe(true);
    expect(calls[0]).toMatchObject({ id: 'call_1', function: { name: 'save' } });
    expect(JSON.parse(joined)).toEqual({ key: '[REDACTED:aws_access_key_id]', note: 'fine' });
    expect(framesOf(response.body).at(-2)).toContain('"finish_reason":"stop"');
    expect(response.body).not.toContain(KEY.slice(4));
  });

  test('parallel tool calls come whole, one after the other', async () => {
    const call = (index: number, fields: Record<string, unknown>) => ({ tool_calls: [{ index, ...fields }] });
    router.fixture.script.turn = deltas([
      { role: 'assistant', content: null },
      call(0, { id: 'call_a', type: 'function', function: { name: 'save', arguments: '' } }),
      call(0, { function: { arguments: '{"a":' } }),
      call(1, { id: 'call_b', type: 'function', function: { name: 'load', arguments: '{}' } }),
      call(0, { function: { arguments: '1}' } }),
      {},
    ]);
    const response = await router.complete({ messages: [{ role: 'user', content: 'Hi' }], stream: true });
    const calls = framesOf(response.body)
      .filter((data) => data !== '[DONE]')
      .flatMap((data) => JSON.parse(data).choices?.[0]?.delta?.tool_calls ?? []);
    // A client closes a call when the next begins: what came of it later would be lost.
    expect(calls).toEqual([
      { index: 0, id: 'call_a', type: 'function', function: { name: 'save', arguments: '{"a":1}' } },
      { index: 1, id: 'call_b', type: 'function', function: { name: 'load', arguments: '{}' } },
    ]);
  });

  test('reasoning and log probabilities hold no more than the text', async () => {
    router.fixture.script.turn = deltas([
      { reasoning_content: `Think: ${KEY.slice(0, 9)}` },
      { reasoning_content: `${KEY.slice(9)} done. ` },
      { content: 'Done.' },
    ]);
    const reasoned = await router.complete({ messages: [{ role: 'user', content: 'Hi' }], stream: true });
    expect(reasoned.body).not.toContain(KEY.slice(9));
    expect(reasoned.body).toContain('[REDACTED:aws_access_key_id]');

    router.fixture.script.turn = withLogprobs(saying(`Say ${KEY} now. `));
    const probable = await router.complete({
      messages: [{ role: 'user', content: 'Hi' }],
      stream: true,
      logprobs: true,
    });
    const tokens = streamedTokens(probable.body).join('');
    expect(tokens).toMatch(/^Say/);
    expect(KEY.split('').some((_, at) => tokens.includes(KEY.slice(at, at + 4)))).toBe(false);
  });

  test.each([['Yes'], ['Yes', ', it', ' is'], ['Hello', ' there', ', ', 'you']])(
    'log probabilities are told of every token, to the last: %j…',
    async (...pieces) => {
      router.fixture.script.turn = withLogprobs(deltas([...pieces.map((content) => ({ content })), {}]));
      const ask = { messages: [{ role: 'user', content: 'Hi' }], logprobs: true };
      const whole = (await router.complete(ask)).json().choices[0];
      expect(whole.logprobs.content.map(({ token }: { token: string }) => token)).toEqual(pieces);
      const streamed = await router.complete({ ...ask, stream: true });
      expect(contentOf(streamed.body)).toBe(pieces.join(''));
      expect(streamedTokens(streamed.body)).toEqual(pieces);
    },
  );

  test('and of none that a redaction covers', async () => {
    const pieces = ['Say ', `it: ${KEY.slice(0, 7)}`, KEY.slice(7, 15), KEY.slice(15), ' is', ' mine'];
    router.fixture.script.turn = withLogprobs(deltas([...pieces.map((content) => ({ content })), {}]));
    const streamed = await router.complete({
      messages: [{ role: 'user', content: 'Hi' }],
      logprobs: true,
      stream: true,
    });
    expect(contentOf(streamed.body)).toBe('Say it: [REDACTED:aws_access_key_id] is mine');
    const tokens = streamedTokens(streamed.body);
    expect(pieces.slice(1, 4).some((piece) => tokens.includes(piece))).toBe(false);
    expect(tokens.slice(-2)).toEqual([' is', ' mine']);
  });

  test('fields that an engine adds are looked at as well', async () => {
    router.fixture.script.turn = async function* (context, request, signal) {
      for await (const event of saying('Done. ')(context, request, signal)) {
        if (event.type !== 'chunk') yield event;
        else {
          const choices = event.chunk.choices.map((choice) => ({ ...choice, stop_reason: `at ${KEY}` }));
          yield { ...event, chunk: { ...event.chunk, choices } };
        }
      }
    };
    const response = await router.complete({ messages: [{ role: 'user', content: 'Hi' }], stream: true });
    expect(contentOf(response.body)).toBe('Done. ');
    expect(response.body).toContain('at [REDACTED:aws_access_key_id]');
    expect(response.body).not.toContain(KEY);
  });

  test('a refusal before the first word is a 403, and one after it an error event', async () => {
    await router.setConfig({ guardrails: { secrets: { output: 'refuse' } } });
    router.fixture.script.turn = saying(`${KEY} is it.`);
    const first = await router.complete({ messages: [{ role: 'user', content: 'Hi' }] });
    expect(first.statusCode).toBe(403);
    expect(first.json().error.refusal.policy).toBe('guardrails.secrets');
    router.fixture.script.turn = saying(`Here it comes: ${KEY} is it.`);
    const later = await router.complete({ messages: [{ role: 'user', content: 'Hi' }], stream: true });
    expect(contentOf(later.body)).toBe('Here it comes: ');
    expect(framesOf(later.body).at(-1)).toContain('guardrail_refused');
    expect(later.body).not.toContain(KEY.slice(4));
    const rows = await router.fixture.usageRows();
    expect(rows.filter(({ refusal_reason }) => refusal_reason === 'guardrail_refused')).not.toHaveLength(0);
  });

  test('citations are redacted, and a passage that gives orders is told of in the log', async () => {
    router.fixture.script.turn = async function* (context, request, signal) {
      const documentId = newDocumentId();
      const citation: Citation = {
        index: 1,
        chunk_id: chunkIdSchema.parse(`${documentId}-0`),
        document_id: documentId,
        title: 'Notes',
        heading_path: [],
        page: null,
        start_offset: 0,
        end_offset: 10,
        text: `${ATTACK} The key is ${KEY}.`,
        score: 1,
      };
      for await (const event of threeWords(context, request, signal)) {
        if (event.type === 'retrieved' || event.type === 'finished')
          yield { ...event, citations: [citation] };
        else yield event;
      }
    };
    const response = await router.post('/v1/chat', { message: 'What is in the notes?', stream: true });
    expect(response.body).not.toContain(KEY);
    expect(response.body).toContain('[REDACTED:aws_access_key_id]');
    expect(router.log()).toContain('suspicious_passages');
  });

  test('a tenant’s pattern is found across pieces', async () => {
    const pattern = { name: 'codename', pattern: 'blue\\s+heron', action: 'redact', applies_to: 'output' };
    await router.setConfig({ sensitive_patterns: [pattern] });
    router.fixture.script.turn = saying('It is the blue heron project.');
    const response = await router.complete({
      messages: [{ role: 'user', content: 'blue heron?' }],
      stream: true,
    });
    expect(contentOf(response.body)).toBe('It is the [REDACTED:codename] project.');
    expect(router.sentOn()).toContain('blue heron?');
  });
});

/** The script’s engine, which tells the probability of each piece as of one token. */
function withLogprobs(script: TurnScript): TurnScript {
  return async function* (context, request, signal) {
    for await (const event of script(context, request, signal)) {
      if (event.type !== 'chunk') yield event;
      else {
        const choices = event.chunk.choices.map((choice) => {
          const token = choice.delta.content;
          const content = [{ token, logprob: 0, top_logprobs: [] }];
          return { ...choice, logprobs: typeof token === 'string' ? { content } : null };
        });
        yield { ...event, chunk: { ...event.chunk, choices } };
      }
    }
  };
}

const streamedTokens = (body: string): string[] =>
  framesOf(body)
    .filter((data) => data !== '[DONE]')
    .flatMap((data) => JSON.parse(data).choices?.[0]?.logprobs?.content ?? [])
    .map(({ token }) => token);
