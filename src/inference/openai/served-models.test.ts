import { readFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { VLLMClient, type VLLMClientOptions } from '#inference/vllm-client.ts';
import {
  type EngineServer,
  sendError,
  sendStream,
  startEngineServer,
  streamOf,
} from '#test/support/engine-server.ts';
import { testContext } from '#test/support/test-context.ts';

const LISTED = readFileSync(new URL('../fixtures/llama-cpp/models.json', import.meta.url));
const acme = testContext('acme');
const never = new AbortController().signal;

const opened: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close();
});

async function setUp(list: (response: ServerResponse) => unknown, options: Partial<VLLMClientOptions> = {}) {
  const server = await startEngineServer(({ path }, response) =>
    path === '/v1/models' ? list(response) : sendStream(response, streamOf(['Hi'])),
  );
  const client = new VLLMClient({
    baseUrl: server.baseUrl,
    defaultModel: 'the-default',
    cacheSaltSecret: null,
    ...options,
  });
  opened.push(client, server);
  return { server, client };
}

async function ask(client: VLLMClient, model: string, signal = never): Promise<number> {
  const messages = [{ role: 'user' as const, content: 'Hello?' }];
  const request = { model, messages, sampling: {}, engineParameters: {}, sources: null };
  let chunks = 0;
  for await (const _ of client.generate(acme, request, signal)) chunks += 1;
  return chunks;
}

const pathsOf = (server: EngineServer) => server.calls.map(({ path }) => path);

describe('a server that answers by any name', () => {
  it('is asked for models alone that it lists, and for the default', async () => {
    const { client, server } = await setUp((response) => response.end(LISTED));
    await expect(ask(client, 'gpt-4o')).rejects.toMatchObject({ code: 'model_not_found', param: 'model' });
    // Names are exact: a price goes by them.
    await expect(ask(client, 'SmolLM2')).rejects.toMatchObject({ code: 'model_not_found' });
    expect(pathsOf(server)).toEqual(['/v1/models']);
    expect(await ask(client, 'smollm2')).toBeGreaterThan(0);
    expect(await ask(client, 'the-default')).toBeGreaterThan(0);
    expect(pathsOf(server)).toEqual(['/v1/models', '/v1/chat/completions', '/v1/chat/completions']);
  });

  it('is asked for its list again when that is old', async () => {
    let now = 0;
    const options = { modelsFreshMs: 1_000, monotonicNow: () => now };
    const lists = [LISTED, JSON.stringify({ data: [{ id: 'another' }] })];
    const { client } = await setUp((response) => response.end(lists.shift()), options);
    await expect(ask(client, 'another')).rejects.toMatchObject({ code: 'model_not_found' });
    now = 1_001;
    expect(await ask(client, 'another')).toBeGreaterThan(0);
  });
});

describe('a list with entries that name no model', () => {
  it.each([null, 'a name', 7, [], {}, { id: '' }, { id: 1 }, { id: null, owned_by: 'x' }])(
    '%j loses them alone, and stays ready',
    async (odd) => {
      const skipped: unknown[] = [];
      const data = [odd, { id: 'good', created: 1 }, odd, { id: 'plain', owned_by: 5, created: 'today' }];
      const { client } = await setUp((response) => response.end(JSON.stringify({ data })), {
        onSkippedModels: ({ skipped: left, total }) => skipped.push([left, total]),
      });
      await client.checkReady(never);
      await client.checkReady(never);
      expect(await client.listModels(never)).toEqual([
        { id: 'good', owned_by: 'engine', created: 1 },
        { id: 'plain', owned_by: 'engine', created: 0 },
      ]);
      await expect(ask(client, 'other')).rejects.toMatchObject({ code: 'model_not_found' });
      // A line of the log a minute, not one a check.
      expect(skipped).toEqual([[2, 4]]);
    },
  );

  it('that is no list at all is a failure', async () => {
    const { client } = await setUp((response) => response.end('{"data":{"0":{"id":"good"}}}'));
    await expect(client.checkReady(never)).rejects.toMatchObject({ code: 'engine_error' });
  });
});

describe('a server that cannot list its models', () => {
  it.each([
    ['has no such route', (response: ServerResponse) => sendError(response, 404)],
    ['says something else', (response: ServerResponse) => response.end('[]')],
    ['lists none', (response: ServerResponse) => response.end('{"data": []}')],
  ])('and %s decides by itself which it knows', async (_what, list) => {
    const { client } = await setUp(list);
    expect(await ask(client, 'any')).toBeGreaterThan(0);
  });

  it('is left alone with it for a while', async () => {
    let now = 0;
    const { client, server } = await setUp((response) => sendError(response, 404), {
      modelsFreshMs: 1_000,
      monotonicNow: () => now,
    });
    await ask(client, 'any');
    await ask(client, 'any');
    now = 1_001;
    await ask(client, 'any');
    expect(pathsOf(server).filter((path) => path === '/v1/models')).toHaveLength(2);
  });

  it('does not hold up a caller who leaves', async () => {
    const { client } = await setUp(() => undefined);
    await expect(ask(client, 'any', AbortSignal.timeout(20))).rejects.toMatchObject({ name: 'TimeoutError' });
  });
});
