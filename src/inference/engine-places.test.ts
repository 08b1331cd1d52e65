import type { ServerResponse } from 'node:http';
import { expect, test } from 'vitest';
import type { GenerateRequest } from '#inference/inference-engine.ts';
import { VLLMClient } from '#inference/vllm-client.ts';
import { sendError, startEngineServer } from '#test/support/engine-server.ts';
import { testContext } from '#test/support/test-context.ts';

const request: GenerateRequest = {
  model: 'served',
  messages: [{ role: 'user', content: 'Hello?' }],
  sampling: {},
  engineParameters: {},
  sources: null,
};
const chunk = (content: string) =>
  `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content }, finish_reason: null }] })}\n\n`;
const never = new AbortController().signal;

test('answers of one tenant, however many, leave room for another’s and for the list of models', async () => {
  const answers: ServerResponse[] = [];
  const server = await startEngineServer((call, response) => {
    if (call.path === '/v1/models') return void response.end(JSON.stringify({ data: [{ id: 'served' }] }));
    answers.push(response);
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(chunk('one'));
    return undefined;
  });
  const client = new VLLMClient({
    baseUrl: server.baseUrl,
    defaultModel: 'served',
    cacheSaltSecret: null,
    connections: 5,
  });
  const leaving = new AbortController();
  const flood = Array.from({ length: 40 }, () =>
    client.generate(testContext('globex'), request, leaving.signal).next(),
  );
  for (const call of flood) call.catch(() => {});
  await expect.poll(() => answers.length).toBe(4);
  expect(client.stats).toMatchObject({ held: 4, waiting: 36 });

  const own = client.generate(testContext('acme'), request, never);
  expect(await own.next()).toMatchObject({ done: false });
  await client.checkReady(never);

  await own.return?.();
  leaving.abort(new Error('left'));
  await Promise.allSettled(flood);
  await expect.poll(() => client.stats).toMatchObject({ held: 0, waiting: 0, tenants: 0 });
  await client.close();
  await server.close();
});

test('a place comes back after a whole answer, a refusal, a cut connection and a server that is gone', async () => {
  let nth = 0;
  const server = await startEngineServer((_call, response) => {
    nth += 1;
    if (nth === 1)
      return sendError(response, 400, {
        message: 'no',
        type: 'invalid_request_error',
        param: null,
        code: 400,
      });
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(chunk('one'));
    if (nth === 2) response.destroy();
    else {
      const last = { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] };
      response.end(`data: ${JSON.stringify(last)}\n\ndata: [DONE]\n\n`);
    }
    return undefined;
  });
  const client = new VLLMClient({
    baseUrl: server.baseUrl,
    defaultModel: 'served',
    cacheSaltSecret: null,
    connections: 1,
    maxAttempts: 1,
  });
  const read = async () => {
    for await (const _ of client.generate(testContext('acme'), request, never));
  };
  const isFree = () => expect.poll(() => client.stats.held).toBe(0);
  await expect(read()).rejects.toThrow();
  await isFree();
  await expect(read()).rejects.toThrow();
  await isFree();
  await read();
  await isFree();
  await server.close();
  await expect(read()).rejects.toThrow();
  await isFree();
  await client.close();
});
