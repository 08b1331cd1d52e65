import { readFile } from 'node:fs/promises';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { ChildService } from '#test/support/child-service.ts';
import { createPostgresDatabase, POSTGRES_URL } from '#test/support/create-postgres-database.ts';
import { call, textAt } from '#test/support/http-client.ts';
import { startThreeServices, type ThreeServices } from '#test/support/start-three-services.ts';
import { createTenants, type Keys } from '#test/support/tenants.ts';

const MEBIBYTE = 1_048_576;
const MAX_ANSWER_BYTES = 2 * MEBIBYTE;
const STALL_MS = 4_000;
const AT_ONCE = 10;
const READERS = 4;
/** More than the kernel's buffers take on three hops: such an answer can only end by being cut off. */
const LONG_ANSWER_BYTES = 256 * MEBIBYTE;
const PIECE = 'flood '.repeat(700);

/** Bytes of memory that are a process's own, now and at most since the last reset. */
async function memoryOf(child: ChildService): Promise<{ now: number; most: number }> {
  const status = await readFile(`/proc/${child.pid}/status`, 'utf8');
  const kilobytes = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) * 1_024;
  return { now: kilobytes('VmRSS'), most: kilobytes('VmHWM') };
}

/** An OpenAI-compatible server whose answers never end; one to `brief` does. */
async function startFloodingEngine() {
  const open = new Set<ServerResponse>();
  const state = { open, asked: 0, mostOfOne: 0 };
  const server: Server = createServer(async (request, response) => {
    if (request.method === 'GET') {
      response.setHeader('content-type', 'application/json');
      response.end(
        '{"object":"list","data":[{"id":"served","object":"model","created":0,"owned_by":"test"}]}',
      );
      return;
    }
    let text = '';
    for await (const part of request) text += String(part);
    state.asked += 1;
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const event = (delta: object, reason: string | null) =>
      `data: ${JSON.stringify({
        id: 'x',
        object: 'chat.completion.chunk',
        created: 1,
        model: 'served',
        choices: [{ index: 0, delta, finish_reason: reason }],
      })}\n\n`;
    if (text.includes('brief')) {
      response.end(`${event({ content: 'Hi' }, 'stop')}data: [DONE]\n\n`);
      return;
    }
    open.add(response);
    response.once('close', () => open.delete(response));
    const piece = event({ content: PIECE }, null);
    let written = 0;
    const write = () => {
      while (!response.destroyed) {
        written += piece.length;
        state.mostOfOne = Math.max(state.mostOfOne, written);
        if (response.write(piece)) continue;
        response.once('drain', write);
        return;
      }
    };
    write();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    state,
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Three services over the flooding engine, for the tests of one `describe`. */
function usePlatform(maxAnswerBytes: number) {
  let engine: Awaited<ReturnType<typeof startFloodingEngine>>;
  let services: ThreeServices;
  let keys: Keys;
  let drop: () => Promise<void>;
  beforeAll(async () => {
    engine = await startFloodingEngine();
    const database = await createPostgresDatabase();
    drop = database.drop;
    services = await startThreeServices({
      databaseUrl: database.url,
      env: {
        INFERENCE_BASE_URL: engine.baseUrl,
        INFERENCE_MODEL: 'served',
        CLIENT_STALL_TIMEOUT_MS: String(STALL_MS),
        MAX_ANSWER_BYTES: String(maxAnswerBytes),
      },
    });
    keys = await createTenants(services);
  });
  afterAll(async () => {
    await services?.dispose();
    await engine?.close();
    await drop?.();
  });
  return {
    get: () => ({ engine, services, keys }),
    ask: (model: string, key: string, content = 'flood me') =>
      call(services.url, 'POST /v1/chat/completions', {
        key,
        json: { model, messages: [{ role: 'user', content }] },
      }),
    /** Runs `work`, and says by how much each process grew at most meanwhile, MiB. */
    async growthDuring(work: () => Promise<unknown>): Promise<Record<'router' | 'orchestrator', number>> {
      const { router, orchestrator } = services.children;
      const before = [(await memoryOf(router)).now, (await memoryOf(orchestrator)).now] as const;
      await work();
      return {
        router: Math.round(((await memoryOf(router)).most - before[0]) / MEBIBYTE),
        orchestrator: Math.round(((await memoryOf(orchestrator)).most - before[1]) / MEBIBYTE),
      };
    },
  };
}

const MODELS = ['served', 'bulkhead-chat'];

describe.skipIf(POSTGRES_URL === '')('answers that never end', () => {
  const { get, ask, growthDuring } = usePlatform(MAX_ANSWER_BYTES);

  it.each(MODELS)('end at their bound with the reason length, ten at once: %s', async (model) => {
    const { engine, keys } = get();
    expect((await ask(model, keys.carol, 'brief')).status).toBe(200);
    const growth = await growthDuring(async () => {
      for (const { status, text, json } of await Promise.all(
        Array.from({ length: AT_ONCE }, () => ask(model, keys.alice)),
      )) {
        expect(status).toBe(200);
        expect(textAt(json, 'choices.0.finish_reason')).toBe('length');
        expect(text.length).toBeGreaterThan(MAX_ANSWER_BYTES * 0.9);
        expect(text.length).toBeLessThan(MAX_ANSWER_BYTES * 1.5);
      }
    });
    console.log(`ten answers of ${model}, growth in MiB:`, growth);
    await expect.poll(() => engine.state.open.size).toBe(0);
    // A whole answer is held as text and as JSON, while the next ones come.
    expect(growth.router).toBeLessThan(200 + (AT_ONCE * MAX_ANSWER_BYTES * 6) / MEBIBYTE);
    expect(growth.orchestrator).toBeLessThan(200 + (AT_ONCE * MAX_ANSWER_BYTES * 4) / MEBIBYTE);
  });
});

describe.skipIf(POSTGRES_URL === '')('readers that read nothing', () => {
  const { get, ask, growthDuring } = usePlatform(LONG_ANSWER_BYTES);

  it.each(MODELS)('hold the engine up, and are cut off: %s', async (model) => {
    const { engine, services, keys } = get();
    const url = new URL(services.url);
    const body = JSON.stringify({ model, stream: true, messages: [{ role: 'user', content: 'flood me' }] });
    const head =
      `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${keys.bob}\r\n` +
      `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`;
    const asked = engine.state.asked;
    engine.state.mostOfOne = 0;
    const sockets: Socket[] = [];
    const countAborted = async () => {
      const answer = await call(services.url, 'GET /v1/usage?limit=100', { key: keys.bob });
      const { data } = z.object({ data: z.array(z.looseObject({ status: z.number() })) }).parse(answer.json);
      return data.filter(({ status }) => status === 499).length;
    };
    const before = await countAborted();
    try {
      const growth = await growthDuring(async () => {
        for (let nth = 0; nth < READERS; nth++) {
          const socket = connect(Number(url.port), url.hostname);
          sockets.push(socket);
          socket.on('error', () => undefined);
          socket.pause();
          socket.write(head + body);
        }
        await expect
          .poll(() => engine.state.asked - asked, { timeout: 60_000 })
          .toBeGreaterThanOrEqual(READERS);
        const { status, text } = await ask(model, keys.carol, 'brief');
        expect([status, text.slice(0, 500)]).toEqual([200, expect.any(String)]);
        await expect.poll(() => engine.state.open.size, { timeout: 90_000 }).toBe(0);
      });
      const mostOfOne = Math.round(engine.state.mostOfOne / MEBIBYTE);
      console.log(
        `${READERS} readers of ${model}, growth in MiB:`,
        growth,
        `engine wrote at most ${mostOfOne}`,
      );
      // What the engine could write is what the kernel's buffers took on the way, not what it had.
      expect(mostOfOne).toBeLessThan(LONG_ANSWER_BYTES / MEBIBYTE / 4);
      expect(growth.router).toBeLessThan(400);
      expect(growth.orchestrator).toBeLessThan(400);
      await expect.poll(countAborted, { timeout: 30_000 }).toBe(before + READERS);
    } finally {
      for (const socket of sockets) socket.destroy();
    }
  });
});
