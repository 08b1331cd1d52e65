import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { tenantIdSchema } from '#app/ids.ts';
import { tenantRateLimitSchema } from '#app/schemas/tenant-rate-limit.ts';
import { createTenantContext } from '#app/tenant-context.ts';
import { formatDuration, limitHeaders, retryHeaders } from '#router/limits/limit-headers.ts';
import { planLimits } from '#router/limits/limit-plan.ts';
import { createMemoryRateLimiter } from '#router/limits/memory-rate-limiter.ts';
import { testContext } from '#test/support/test-context.ts';

test.each([
  [0, '0ms'],
  [19.2, '20ms'],
  [999.5, '1s'],
  [1_500, '1.5s'],
  [60_000, '1m0s'],
  [360_250, '6m0.25s'],
  [3_600_000, '1h0m0s'],
])('%d ms is written %s', (milliseconds, written) => {
  expect(formatDuration(milliseconds)).toBe(written);
});

test('Retry-After is never too early', () => {
  expect(retryHeaders(1_000.2)).toEqual({ 'retry-after': '2', 'retry-after-ms': '1001' });
  expect(retryHeaders(0)).toEqual({ 'retry-after': '1', 'retry-after-ms': '1' });
});

const pk = (of: string) => `:${createHash('sha256').update(of).digest().subarray(0, 9).toString('base64')}:`;
const planOf = (limits: object) =>
  planLimits(tenantIdSchema.parse('acme'), tenantRateLimitSchema.parse(limits));

/** Ten seconds after a request that held 9,000 tokens, and one second after another that used none of its own. */
async function headersAfterTwo(limits: object, context = testContext('acme', 'alice')) {
  const plan = planOf(limits).withoutKey;
  let now = 0;
  const limiter = createMemoryRateLimiter({ monotonicNow: () => now });
  await limiter.admit(context, plan.scopes, 9_000);
  now = 9_000;
  const second = await limiter.admit(context, plan.scopes, 100);
  if (!second.admitted) throw new Error('It was not admitted.');
  second.settle(0);
  second.release();
  now = 9_500.4;
  return limitHeaders(await limiter.admit(context, plan.scopes, 0), plan, context);
}

test('the tightest windows are told in OpenAI’s names, and every limit in the IETF’s fields', async () => {
  const acme = pk('acme');
  const limits = {
    requests_per_minute: 120,
    requests_per_hour: 3_600,
    tokens_per_minute: 9_500,
    concurrent_requests: 4,
  };
  expect(await headersAfterTwo(limits)).toEqual({
    'x-ratelimit-limit-requests': '120',
    'x-ratelimit-remaining-requests': '117',
    'x-ratelimit-reset-requests': '1m0.001s',
    'x-ratelimit-limit-tokens': '9500',
    'x-ratelimit-remaining-tokens': '500',
    'x-ratelimit-reset-tokens': '1m0.001s',
    'ratelimit-policy': [
      `"requests_per_minute";q=120;w=60;pk=${acme}`,
      `"requests_per_hour";q=3600;w=3600;pk=${acme}`,
      `"tokens_per_minute";q=9500;qu="tokens";w=60;pk=${acme}`,
      `"concurrent_requests";q=4;qu="concurrent-requests";pk=${acme}`,
    ].join(', '),
    // The draft's reset is when some more is free: when the oldest leaves, not when all have.
    ratelimit: [
      `"requests_per_minute";r=117;t=51;pk=${acme}`,
      `"requests_per_hour";r=3597;t=3591;pk=${acme}`,
      `"tokens_per_minute";r=500;t=51;pk=${acme}`,
      `"concurrent_requests";r=2;pk=${acme}`,
    ].join(', '),
  });
});

test('limits of a user and of a key are named apart, with a partition of their own', async () => {
  const plan = planOf({ per_user: { requests_per_minute: 5 }, per_key: { tokens_per_minute: 7 } }).withKey;
  const keyId = 'k3y';
  const policyOf = (user: string) =>
    plan.fieldsOf(createTenantContext({ ...testContext('acme', user), keyId })).policyField;
  expect(policyOf('alice')).toBe(
    [
      `"requests_per_minute";q=120;w=60;pk=${pk('acme')}`,
      `"requests_per_hour";q=3600;w=3600;pk=${pk('acme')}`,
      `"per_user.requests_per_minute";q=5;w=60;pk=${pk('acme/user/alice')}`,
      `"per_key.tokens_per_minute";q=7;qu="tokens";w=60;pk=${pk(`acme/key/${keyId}`)}`,
    ].join(', '),
  );
  expect(policyOf('bob')).toContain(`"per_user.requests_per_minute";q=5;w=60;pk=${pk('acme/user/bob')}`);
  expect(policyOf('bob')).not.toContain(pk('acme/user/alice'));
});

test('where no tokens are taken nothing is said of when more are free', async () => {
  const plan = planOf({ requests_per_minute: null, requests_per_hour: null, tokens_per_minute: 10 }).withKey;
  const limiter = createMemoryRateLimiter({ monotonicNow: () => 0 });
  const context = testContext('acme', 'alice');
  const { ratelimit } = limitHeaders(await limiter.admit(context, plan.scopes, 0), plan, context);
  expect(ratelimit).toBe(`"tokens_per_minute";r=10;pk=${pk('acme')}`);
});

test('no limit, no headers', async () => {
  const plan = planOf({ requests_per_minute: null, requests_per_hour: null }).withKey;
  const limiter = createMemoryRateLimiter({ monotonicNow: () => 0 });
  const context = testContext('acme', 'alice');
  expect(limitHeaders(await limiter.admit(context, plan.scopes, 5), plan, context)).toEqual({});
});
