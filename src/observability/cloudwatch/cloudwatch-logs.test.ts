import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CloudWatchLogsClient } from '@aws-sdk/client-cloudwatch-logs';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { CloudWatchLogs } from '#observability/cloudwatch/cloudwatch-logs.ts';

const bodySchema = z.looseObject({
  logEvents: z.array(z.object({ timestamp: z.number(), message: z.string() })).optional(),
  retentionInDays: z.number().optional(),
});
type Call = { action: string; body: z.infer<typeof bodySchema> };
type Answer = (call: Call, response: ServerResponse) => void;

const opened: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

const ok =
  (body: object = {}): Answer =>
  (_call, response) =>
    response.writeHead(200, { 'content-type': 'application/x-amz-json-1.1' }).end(JSON.stringify(body));
const fail =
  (name: string, status = 400): Answer =>
  (_call, response) =>
    response
      .writeHead(status, { 'content-type': 'application/x-amz-json-1.1' })
      .end(JSON.stringify({ __type: name, message: 'No.' }));
const hang: Answer = () => {};

/** CloudWatch Logs as it fails: a server that answers as it is told, and a destination that sends to it. */
async function open(answer: Answer, options: { outageMs?: number; closeMs?: number } = {}) {
  let answering = answer;
  const calls: Call[] = [];
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += String(chunk);
    const action = String(request.headers['x-amz-target']).split('.')[1] ?? '';
    const call = { action, body: bodySchema.parse(JSON.parse(text)) };
    calls.push(call);
    answering(call, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = new CloudWatchLogsClient({
    region: 'eu-central-1',
    endpoint: `http://127.0.0.1:${port}`,
    credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret' },
    maxAttempts: 1,
  });
  const fallen: string[] = [];
  const changes: boolean[] = [];
  const refused: number[] = [];
  const logs = new CloudWatchLogs({
    client,
    group: '/bulkhead',
    stream: 'router/host/1',
    retentionDays: 30,
    fallback: { write: (line) => void fallen.push(line) },
    now: Date.now,
    onChange: (isOut) => void changes.push(isOut),
    onRefused: (count) => void refused.push(count),
    flushMs: 5,
    closeMs: options.closeMs ?? 60_000,
    outageMs: options.outageMs ?? 60_000,
  });
  opened.push(async () => {
    server.closeAllConnections();
    server.close();
    client.destroy();
  });
  const sent = () => calls.flatMap(({ body }) => body.logEvents ?? []).map(({ message }) => message);
  return { logs, calls, sent, fallen, changes, refused, turnTo: (next: Answer) => (answering = next) };
}

const lines = (count: number, from = 0) =>
  Array.from({ length: count }, (_, index) => `{"n":${from + index}}`);

describe('log lines to CloudWatch', () => {
  test('go in one batch, in order, without their line breaks', async () => {
    const { logs, sent, fallen, calls } = await open(ok());
    for (const line of lines(100)) logs.write(`${line}\n`);
    await logs.close();
    expect(sent()).toEqual(lines(100));
    expect(calls.map(({ action }) => action)).toEqual(['PutLogEvents']);
    expect(fallen).toEqual([]);
  });

  test('are sent by themselves after a moment', async () => {
    const { logs, sent } = await open(ok());
    logs.write('{"n":0}\n');
    await vi.waitFor(() => expect(sent()).toEqual(['{"n":0}']));
    logs.write('{"n":1}\n');
    await vi.waitFor(() => expect(sent()).toEqual(['{"n":0}', '{"n":1}']));
    await logs.close();
  });

  test('make the group, its retention and the stream where they are missing', async () => {
    let isThere = false;
    const { logs, calls, fallen } = await open((call, response) => {
      if (call.action === 'CreateLogStream') isThere = true;
      const isMissing = call.action === 'PutLogEvents' && !isThere;
      (isMissing ? fail('ResourceNotFoundException') : ok())(call, response);
    });
    logs.write('{}\n');
    await logs.close();
    expect(calls.map(({ action }) => action)).toEqual([
      'PutLogEvents',
      'CreateLogGroup',
      'PutRetentionPolicy',
      'CreateLogStream',
      'PutLogEvents',
    ]);
    expect(calls[2]?.body.retentionInDays).toBe(30);
    expect(fallen).toEqual([]);
  });

  test('leave a group alone that another made, or that they may not make', async () => {
    for (const name of ['ResourceAlreadyExistsException', 'AccessDeniedException']) {
      let isThere = false;
      const { logs, calls, fallen } = await open((call, response) => {
        if (call.action === 'CreateLogStream') isThere = true;
        if (call.action === 'CreateLogGroup') fail(name)(call, response);
        else if (call.action === 'PutLogEvents' && !isThere)
          fail('ResourceNotFoundException')(call, response);
        else ok()(call, response);
      });
      logs.write('{}\n');
      await logs.close();
      expect(calls.map(({ action }) => action)).not.toContain('PutRetentionPolicy');
      expect(fallen).toEqual([]);
    }
  });

  test('are tried again after a moment’s failure', async () => {
    let failures = 0;
    const { logs, sent, fallen, changes } = await open((call, response) => {
      failures += 1;
      (failures === 1 ? fail('ThrottlingException') : ok())(call, response);
    });
    logs.write('{"n":0}\n');
    await logs.close();
    expect(sent()).toEqual(['{"n":0}', '{"n":0}']);
    expect(fallen).toEqual([]);
    expect(changes).toEqual([]);
  });

  test('go to the fallback while CloudWatch is away, each once, and to CloudWatch when it is back', async () => {
    const { logs, sent, fallen, changes, turnTo } = await open(fail('ServiceUnavailableException', 503), {
      outageMs: 50,
    });
    for (const line of lines(3)) logs.write(`${line}\n`);
    await vi.waitFor(() => expect(changes).toEqual([true]), { timeout: 10_000 });
    logs.write('{"n":3}\n');
    expect(fallen).toEqual(lines(4).map((line) => `${line}\n`));
    turnTo(ok());
    await new Promise((resolve) => setTimeout(resolve, 60));
    logs.write('{"n":4}\n');
    await vi.waitFor(() => expect(changes).toEqual([true, false]));
    expect(sent().at(-1)).toBe('{"n":4}');
    expect(fallen.length).toBe(4);
    await logs.close();
  });

  test('do not hold a closing process up when CloudWatch hangs, and are not lost', async () => {
    const { logs, fallen, calls } = await open(hang, { closeMs: 100 });
    logs.write('{"n":0}\n');
    await vi.waitFor(() => expect(calls.length).toBe(1));
    logs.write('{"n":1}\n');
    await logs.close();
    logs.write('{"n":2}\n');
    expect(fallen).toEqual(lines(3).map((line) => `${line}\n`));
  });

  test('that CloudWatch refuses for good are in the fallback, and hold nothing up', async () => {
    let batches = 0;
    const { logs, sent, fallen, refused, changes } = await open((call, response) => {
      batches += 1;
      (batches === 1 ? fail('InvalidParameterException') : ok())(call, response);
    });
    logs.write('{"n":0}\n');
    await vi.waitFor(() => expect(refused).toEqual([1]));
    logs.write('{"n":1}\n');
    await logs.close();
    expect(fallen).toEqual(['{"n":0}\n']);
    expect(sent().at(-1)).toBe('{"n":1}');
    expect(changes).toEqual([]);
  });

  test('of which CloudWatch took a part are in the fallback with the others', async () => {
    const { logs, fallen, refused } = await open(
      ok({ rejectedLogEventsInfo: { tooOldLogEventEndIndex: 1, tooNewLogEventStartIndex: 3 } }),
    );
    for (const line of lines(4)) logs.write(`${line}\n`);
    await logs.close();
    expect(fallen).toEqual(['{"n":0}\n', '{"n":3}\n']);
    expect(refused).toEqual([2]);
  });
});
