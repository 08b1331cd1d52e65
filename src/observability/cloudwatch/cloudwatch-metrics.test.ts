import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import { afterEach, describe, expect, test } from 'vitest';
import { createCloudWatchMetrics } from '#observability/cloudwatch/cloudwatch-metrics.ts';
import { createLogger } from '#observability/logger.ts';

const opened: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

/** CloudWatch as it fails: each call gets the next of these statuses, 200 after them; `hang`: no answer. */
async function open(statuses: (number | 'hang')[], closeMs = 60_000) {
  let calls = 0;
  const server = createServer((request, response) => {
    request.resume();
    request.on('end', () => {
      calls += 1;
      const status = statuses.shift() ?? 200;
      if (status === 'hang') return;
      const isRefusal = status === 400;
      response
        .writeHead(status, {
          'content-type': 'application/json',
          'smithy-protocol': 'rpc-v2-cbor',
          ...(isRefusal ? { 'x-amzn-query-error': 'InvalidParameterValue;Sender' } : {}),
        })
        .end(isRefusal ? JSON.stringify({ __type: 'InvalidParameterValueException' }) : '{}');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = new CloudWatchClient({
    region: 'eu-central-1',
    endpoint: `http://127.0.0.1:${port}`,
    credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret' },
    maxAttempts: 1,
  });
  const lines: string[] = [];
  const metrics = createCloudWatchMetrics({
    client,
    namespace: 'multi-tenant-chatbot',
    tenants: [],
    maxTenants: 100,
    logger: createLogger({
      level: 'info',
      service: 'router',
      destination: { write: (line) => void lines.push(line) },
    }),
    now: Date.now,
    closeMs,
  });
  opened.push(async () => {
    server.closeAllConnections();
    server.close();
    client.destroy();
  });
  const events = () => lines.map((line): string => JSON.parse(line).event);
  return { metrics, calls: () => calls, events };
}

describe('metrics to CloudWatch', () => {
  test('are not sent when there are none', async () => {
    const { metrics, calls } = await open([]);
    await metrics.flush();
    await metrics.close();
    expect(calls()).toBe(0);
  });

  test('wait while CloudWatch is away, and it is told once that it is, and once that it is back', async () => {
    const { metrics, calls, events } = await open([503, 503]);
    metrics.figure('router', 'RedisOutageSeconds', 1);
    await metrics.flush();
    metrics.figure('router', 'RedisOutageSeconds', 2);
    await metrics.flush();
    expect(events()).toEqual(['cloudwatch_unavailable']);
    await metrics.flush();
    // Both minutes, each in a call of its own.
    expect(calls()).toBe(4);
    expect(events()).toEqual(['cloudwatch_unavailable', 'cloudwatch_available']);
    await metrics.close();
    expect(calls()).toBe(4);
  });

  test('that are given up are told of', async () => {
    const { metrics, events } = await open(Array<number>(200).fill(503));
    for (let minute = 0; minute < 62; minute++) {
      metrics.figure('router', 'RedisOutageSeconds', 1);
      await metrics.flush();
    }
    expect(events().filter((event) => event === 'cloudwatch_metrics_dropped').length).toBe(2);
    await metrics.close();
  });

  test('that CloudWatch refuses do not stop those after them', async () => {
    const { metrics, calls, events } = await open([503, 400]);
    metrics.figure('router', 'RedisOutageSeconds', 1);
    await metrics.flush();
    metrics.figure('router', 'RedisOutageSeconds', 2);
    await metrics.flush();
    expect(calls()).toBe(3);
    expect(events()).toEqual([
      'cloudwatch_unavailable',
      'cloudwatch_metrics_refused',
      'cloudwatch_available',
    ]);
    await metrics.close();
  });

  test('do not hold a closing process up when CloudWatch hangs', async () => {
    const { metrics, calls } = await open(['hang', 'hang'], 100);
    metrics.figure('router', 'RedisOutageSeconds', 1);
    await metrics.close();
    expect(calls()).toBeGreaterThan(0);
  });
});
