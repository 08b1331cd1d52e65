import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  at,
  call,
  eventually,
  listAt,
  type ServerEvent,
  streamEvents,
  textAt,
} from '#test/support/http-client.ts';
import {
  type RecordedCall,
  type RecordingProxy,
  startRecordingProxy,
} from '#test/support/recording-proxy.ts';
import { FACTS, type SeededPlatform, seedPlatform } from '#test/support/seeded-platform.ts';
import { type Bulkhead, startBulkhead } from '#test/support/start-bulkhead.ts';

const ENGINE_URL = process.env.TEST_LLAMA_URL ?? '';
const MODEL = process.env.TEST_LLAMA_MODEL ?? '';
if (ENGINE_URL === '') {
  console.warn('SKIPPED: no llama.cpp server (TEST_LLAMA_URL); npm run test:integration starts one.');
}

describe.skipIf(ENGINE_URL === '')('a turn against a real language model', () => {
  let proxy: RecordingProxy;
  let bulkhead: Bulkhead;
  let seeded: SeededPlatform;
  let url: string;
  beforeAll(async () => {
    proxy = await startRecordingProxy(new URL(ENGINE_URL).origin);
    bulkhead = await startBulkhead({
      env: {
        INFERENCE_BASE_URL: `${proxy.url}/v1`,
        INFERENCE_MODEL: MODEL,
        INFERENCE_CONTEXT_TOKENS: process.env.TEST_LLAMA_CONTEXT_TOKENS ?? '4096',
        PRICE_PER_MILLION_PROMPT_TOKENS_USD: '1',
        PRICE_PER_MILLION_COMPLETION_TOKENS_USD: '2',
      },
    });
    seeded = await seedPlatform(bulkhead);
    ({ url } = bulkhead);
  });
  afterAll(async () => {
    await bulkhead?.dispose();
    await proxy?.close();
  });

  /** The completions that the engine was asked for while `work` ran. */
  async function recorded<Result>(work: () => Promise<Result>): Promise<[Result, RecordedCall[]]> {
    const before = proxy.calls.length;
    const result = await work();
    return [result, proxy.calls.slice(before).filter(({ path }) => path === '/v1/chat/completions')];
  }

  async function chat(key: string, fields: Readonly<Record<string, unknown>>): Promise<ServerEvent[]> {
    const events: ServerEvent[] = [];
    const json = { stream: true, max_tokens: 48, temperature: 0, ...fields };
    for await (const event of streamEvents(url, 'POST /v1/chat', { key, json })) events.push(event);
    return events;
  }

  const bodyOf = (recordedCall: RecordedCall | undefined): unknown =>
    JSON.parse(recordedCall?.body ?? 'null');
  const promptOf = (recordedCall: RecordedCall | undefined) =>
    listAt(bodyOf(recordedCall), 'messages')
      .map((message) => String(at(message, 'content')))
      .join('\n');
  /** The counts in the last event that the engine sent. */
  const usageOf = (recordedCall: RecordedCall | undefined): unknown => {
    const events = (recordedCall?.response ?? '').split('\n\n').filter((text) => text.includes('"usage":{'));
    return at(JSON.parse(events.at(-1)?.replace(/^data: /, '') ?? 'null'), 'usage');
  };

  it('streams, with the citations in the prompt, and counts what the engine counted', async () => {
    const [events, calls] = await recorded(() => chat(seeded.keys.alice, { message: FACTS.alice.question }));
    expect(calls).toHaveLength(1);
    const names = events.map(({ event }) => event);
    expect(names.slice(0, 2)).toEqual(['started', 'retrieved']);
    expect(names.filter((name) => name === 'delta').length).toBeGreaterThan(3);
    expect(names.at(-1)).toBe('answer');

    const cited = listAt(events[1]?.data, 'citations');
    expect(cited.length).toBeGreaterThan(0);
    const prompt = promptOf(calls[0]);
    expect(prompt).toContain(FACTS.alice.question);
    expect(prompt).toContain(FACTS.alice.sentence);
    // Every passage that is cited was before the engine, under the number by which it is cited.
    for (const citation of cited) {
      const number = Number(at(citation, 'index'));
      const start = prompt.indexOf(`<source number="${number}"`);
      expect(start).toBeGreaterThanOrEqual(0);
      expect(prompt.slice(start, prompt.indexOf('</source>', start))).toContain(
        textAt(citation, 'text').split('\n').at(-1),
      );
    }

    const answer = events.at(-1)?.data;
    expect(answer).toMatchObject({ tenant_id: 'acme', model: MODEL, route: 'rag' });
    expect(textAt(answer, 'answer')).not.toBe('');
    expect(at(answer, 'token_usage')).toMatchObject({
      prompt_tokens: at(usageOf(calls[0]), 'prompt_tokens'),
      completion_tokens: at(usageOf(calls[0]), 'completion_tokens'),
    });
    const [input, output] = [
      at(answer, 'token_usage.prompt_tokens'),
      at(answer, 'token_usage.completion_tokens'),
    ];
    expect(at(answer, 'cost_usd_estimate')).toBeCloseTo((Number(input) + 2 * Number(output)) / 1e6, 9);
    const usage = await call(url, 'GET /v1/usage?limit=1&route=rag', { key: seeded.keys.alice });
    expect(at(usage.json, 'data.0')).toMatchObject({
      request_id: textAt(answer, 'request_id'),
      token_usage: { prompt_tokens: input, completion_tokens: output },
    });
  });

  it('sends a cache_salt of each tenant: stable within it, different between them, and no tenant’s name', async () => {
    const { alice, bob, carol } = seeded.keys;
    const salt = async (key: string, message: string) => {
      const [, calls] = await recorded(() => chat(key, { message, route: 'chat', max_tokens: 4 }));
      return textAt(bodyOf(calls[0]), 'cache_salt');
    };
    const acme = await salt(alice, 'Hello');
    expect(acme).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(await salt(alice, 'Another question')).toBe(acme);
    expect(await salt(bob, 'Hello')).toBe(acme);
    const globex = await salt(carol, 'Hello');
    expect(globex).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(globex).not.toBe(acme);
    expect(await salt(carol, 'Another question')).toBe(globex);
  });

  it('puts nothing of one tenant, or of another user, before the engine for another', async () => {
    const { bob, carol } = seeded.keys;
    for (const [key, fact] of [
      [carol, FACTS.alice],
      [carol, FACTS.acme],
      [bob, FACTS.alice],
      [bob, FACTS.carol],
    ] as const) {
      const [events, calls] = await recorded(() => chat(key, { message: fact.question, max_tokens: 8 }));
      expect(JSON.stringify(events)).not.toContain(fact.word);
      for (const one of calls) expect(one.body).not.toContain(fact.word);
    }
  });

  it('goes on with a conversation: its turns are before the engine', async () => {
    const { alice } = seeded.keys;
    const [first] = await recorded(() => chat(alice, { message: 'My name is Wilhelmina.', route: 'chat' }));
    const conversation_id = textAt(first.at(-1)?.data, 'conversation_id');
    const [, calls] = await recorded(() =>
      chat(alice, { message: 'What is my name?', route: 'chat', conversation_id }),
    );
    expect(promptOf(calls[0])).toContain('Wilhelmina');
    expect(listAt(bodyOf(calls[0]), 'messages').filter((one) => at(one, 'role') === 'user')).toHaveLength(2);
  });

  it('passes an engine model straight through, under the tenant’s own salt', async () => {
    const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: seeded.keys.alice, maxRetries: 0 });
    const models: string[] = [];
    for await (const { id } of await client.models.list()) models.push(id);
    expect(models).toContain(MODEL);

    const hostile = { cache_salt: 'of-another-tenant', priority: -100, chat_template: '{{ 1 }}' };
    const [text, calls] = await recorded(async () => {
      const stream = await client.chat.completions.create({
        ...hostile,
        model: MODEL,
        messages: [{ role: 'user', content: 'Say hello.' }],
        max_tokens: 12,
        stream: true,
        stream_options: { include_usage: true },
      });
      let answer = '';
      let usage: OpenAI.CompletionUsage | null | undefined;
      for await (const chunk of stream) {
        answer += chunk.choices[0]?.delta.content ?? '';
        usage = chunk.usage;
      }
      expect(usage?.completion_tokens).toBeGreaterThan(0);
      return answer;
    });
    expect(text).not.toBe('');
    const body = bodyOf(calls[0]);
    expect(body).toMatchObject({ model: MODEL, max_tokens: 12 });
    expect(textAt(body, 'cache_salt')).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(at(body, 'priority')).toBeUndefined();
    expect(at(body, 'chat_template')).toBeUndefined();

    const whole = await client.chat.completions.create({
      model: MODEL,
      messages: [{ role: 'user', content: 'Say hello.' }],
      max_tokens: 12,
    });
    expect(whole.choices[0]?.message.content).not.toBe('');
    expect(whole.usage?.total_tokens).toBeGreaterThan(0);
  });

  it('ends the engine’s work when the client leaves', async () => {
    const { alice } = seeded.keys;
    const controller = new AbortController();
    const [requestId, calls] = await recorded(async () => {
      const json = {
        message: 'Count from one to one thousand.',
        route: 'chat',
        stream: true,
        max_tokens: 2_000,
      };
      const events = streamEvents(url, 'POST /v1/chat', { key: alice, json, signal: controller.signal });
      let id = '';
      try {
        for await (const { event, data } of events) {
          if (event === 'started') id = textAt(data, 'request_id');
          if (event === 'delta') controller.abort();
        }
      } catch (error) {
        if (!controller.signal.aborted) throw error;
      }
      return id;
    });
    expect(controller.signal.aborted).toBe(true);
    await eventually('the end of the engine’s call', async () =>
      calls[0]?.state === 'aborted' ? true : undefined,
    );
    const row = await eventually('the usage row', async () => {
      const { json } = await call(url, 'GET /v1/usage?limit=5&route=chat', { key: alice });
      return listAt(json, 'data').find((one) => at(one, 'request_id') === requestId);
    });
    expect(row).toMatchObject({ outcome: 'aborted', status: 499 });
    // What the client took is not free.
    expect(Number(at(row, 'token_usage.total_tokens'))).toBeGreaterThan(0);
  });

  it('says that the engine is away, and that trying again may help', async () => {
    await proxy.close();
    const answer = await call(url, 'POST /v1/chat', {
      key: seeded.keys.alice,
      json: { message: 'Hello', route: 'chat' },
    });
    expect(answer.status).toBe(503);
    expect(textAt(answer.json, 'error.code')).toBe('engine_unavailable');
    expect(answer.text).not.toContain('127.0.0.1');
  });
});
