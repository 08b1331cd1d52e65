import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { tenantIdSchema } from '#app/ids.ts';
import { RefusedBodies } from '#router/http/refused-bodies.ts';
import { createRouterFixture } from '#test/support/router-fixture.ts';

const MIB = 1_048_576;
const answerSchema = z.object({
  error: z.object({ code: z.string(), refusal: z.object({ policy: z.string() }).optional() }).optional(),
});

describe('what a tenant may have read for nothing', () => {
  const acme = tenantIdSchema.parse('acme');
  const globex = tenantIdSchema.parse('globex');

  test('is forgotten bit by bit, and what was not refused at once', () => {
    let now = 0;
    const refused = new RefusedBodies({ monotonicNow: () => now });
    for (let nth = 0; nth < 8; nth++) refused.add(acme, 4 * MIB);
    expect(() => refused.check(acme, 1)).toThrowError(
      expect.objectContaining({ code: 'rate_limit_exceeded' }),
    );
    refused.check(acme, 0);
    refused.check(globex, 4 * MIB);
    refused.takeBack(acme, 4 * MIB);
    refused.check(acme, 4 * MIB);
    expect(() => refused.check(acme, 5 * MIB)).toThrowError(expect.objectContaining({ retryAfterMs: 1_875 }));
    now += 1_875;
    refused.check(acme, 5 * MIB);
    // However large: it may be sent when nothing counts any more.
    now += 60_000;
    refused.check(acme, 64 * MIB);
  });
});

describe('the router', () => {
  let fixture: Awaited<ReturnType<typeof createRouterFixture>>;
  let origin: string;
  let at = 0;
  beforeAll(async () => {
    fixture = await createRouterFixture({ monotonicNow: () => at });
    origin = await fixture.app.listen({ host: '127.0.0.1', port: 0 });
  });
  afterAll(() => fixture.close());

  const chat = async (headers: Record<string, string>, payload: string) => {
    const response = await fetch(`${origin}/v1/chat/completions`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: payload,
    });
    return { status: response.status, error: answerSchema.parse(await response.json()).error };
  };
  const body = (messages: object[]) =>
    JSON.stringify({ model: 'bulkhead-chat', messages, junk: 'x'.repeat(1_000_000) });
  const good = body([{ role: 'user', content: 'hi' }]);
  /** How many are read until it is enough. */
  async function until(policy: string, headers: Record<string, string>, payload: string): Promise<number> {
    for (let nth = 0; nth < 60; nth++) {
      const { error } = await chat(headers, payload);
      if (error?.refusal?.policy === policy) return nth;
    }
    throw new Error(`There is no end: ${policy}.`);
  }

  test.each([
    ['no message', body([])],
    ['no JSON', `${good}}`],
  ])(
    'reads a bounded number of bodies with %s, and then none before some time is over',
    async (_what, bad) => {
      at += 120_000;
      const alice = await fixture.keyOf('acme');
      const eve = await fixture.keyOf('globex');
      expect(await until('refused_bodies', alice, bad)).toBe(33);
      // Whatever it is: it is not looked at.
      expect(await chat(alice, good)).toMatchObject({ status: 429, error: { code: 'rate_limit_exceeded' } });
      expect((await chat(eve, good)).status).toBe(200);
      expect((await fixture.app.inject({ url: '/v1/models', headers: alice })).statusCode).toBe(200);
      at += 60_000;
      expect((await chat(alice, good)).status).toBe(200);
    },
  );

  test('counts what a limit denies, and nothing that it admits', async () => {
    at += 120_000;
    await fixture.setConfig('acme', { rate_limits: { requests_per_minute: 50, requests_per_hour: null } });
    const alice = await fixture.keyOf('acme', 'bob');
    // Fifty megabytes were admitted before.
    expect(await until('rate_limits.requests_per_minute', alice, good)).toBe(50);
    expect(await until('refused_bodies', alice, good)).toBe(32);
  });
});
