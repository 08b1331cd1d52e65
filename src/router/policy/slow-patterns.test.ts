import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { newConversationId, newMessageId, newRequestId } from '#app/ids.ts';
import { conversationWithMessagesSchema } from '#app/schemas/conversation.ts';
import { tenantConfigSchema } from '#app/schemas/tenant-config.ts';
import { createLogger } from '#observability/logger.ts';
import { createInputGuardrails } from '#router/guardrails/create-guardrails.ts';
import { loadGuardrailModels } from '#router/guardrails/load-models.ts';
import { compileOutput } from '#router/guardrails/output/compile-output.ts';
import { createPatternScanner } from '#router/guardrails/output/pattern-scanner.ts';
import { newUsage, type RequestState } from '#router/http/request-state.ts';
import { NO_LIMITS } from '#router/identity/principal.ts';
import { compilePolicy } from '#router/policy/compile-policy.ts';
import { createContentThread, isForThread } from '#router/policy/content-thread.ts';
import { decideContent } from '#router/policy/decide-content.ts';
import { createRedactText } from '#router/request-log/redact-text.ts';
import { guardConversation } from '#router/routes/conversations/guard-conversation.ts';
import { admitTexts } from '#router/turns/admit-texts.ts';
import { testContext } from '#test/support/test-context.ts';

/** Each match looks through all of the rest for a z that is not there: the square of the text's length, in all. */
const QUADRATIC = '[a-h][^z]*z|[a-h]';
/** More states than any automaton can be made of: every character costs an instruction of each of them. */
const SLOW = '[a-h][^z]{480}z';

const policyOf = (
  pattern: string,
  fields: Partial<{ action: 'redact' | 'refuse'; applies_to: 'input' | 'both' }> = {},
  count = 1,
) =>
  compilePolicy(
    tenantConfigSchema.parse({
      tenant_id: 'acme',
      display_name: 'Acme',
      sensitive_patterns: Array.from({ length: count }, (_, index) => ({
        name: `p${index}`,
        pattern,
        ...fields,
      })),
    }),
    1,
  );

/** Letters without an order that an automaton could use. */
function letters(length: number): string {
  let state = 7;
  return Array.from({ length }, () => {
    state = (state * 1_103_515_245 + 12_345) & 0x7fffffff;
    return 'abcdefghijklmnop'[(state >> 16) & 15];
  }).join('');
}

/** How often others had their turn before the work was over. */
async function turnsDuring(work: Promise<unknown>): Promise<number> {
  let isOver = false;
  const done = () => {
    isOver = true;
  };
  work.then(done, done);
  let turns = 0;
  for (; !isOver; turns++) await turn();
  return turns;
}

const logger = createLogger({ level: 'silent', service: 'test' });
const models = await loadGuardrailModels();
const acme = testContext('acme');
const never = new AbortController().signal;

describe('patterns of a tenant that are made to be slow', () => {
  it('keep no other request waiting where they redact, and are given up', async () => {
    const input = createInputGuardrails({ models, logger });
    const guarded = {
      policy: policyOf(QUADRATIC, { action: 'redact' }, 20),
      context: acme,
      requestId: 'req',
    };
    const text = 'abcdefgh '.repeat(5_000);
    const work = input.guardTexts({ ...guarded, signal: never }, [{ text, param: 'input' }]);
    expect(await turnsDuring(work)).toBeGreaterThan(20);
    await expect(work).rejects.toMatchObject({ code: 'guardrail_refused' });
  });

  it('are given up on texts that are stored, and on answers', () => {
    const policy = policyOf(QUADRATIC, { action: 'redact', applies_to: 'both' }, 100);
    const text = 'abcdefgh '.repeat(5_000);
    expect(() => compileOutput(policy, models).inspect(text)).toThrow(/take too long/);
    const scanner = createPatternScanner(policy.patterns);
    expect(() => {
      for (let at = 0; at < text.length; at += 4) scanner.push(text.slice(at, at + 4));
    }).toThrow(/take too long/);
  });

  it('are given up in the request log, whose rows of others wait behind them', async () => {
    const redact = createRedactText(models);
    const policy = policyOf(QUADRATIC, { action: 'refuse', applies_to: 'both' }, 100);
    const text = 'abcdefgh '.repeat(1_800);
    // The first two take their time, and have no more for the others.
    for (let nth = 0; nth < 10; nth++) await expect(redact(text, policy)).rejects.toThrow(/take too long/);
    expect(await redact('mail a@example.com', policyOf('nowhere'))).not.toContain('a@example.com');
  });

  it('leave usual patterns all the time that they need', async () => {
    const policy = policyOf('\\b\\d{4}-\\d{4}\\b', { action: 'redact' }, 20);
    const input = createInputGuardrails({ models, logger });
    const text = 'The number is 1234-5678 today. '.repeat(3_000);
    const [guarded] = await input.guardTexts({ policy, context: acme, requestId: 'req', signal: never }, [
      { text, param: 'input' },
    ]);
    expect(guarded).not.toContain('1234-5678');
  });
});

describe('the thread for long texts', () => {
  const threads: { close(): Promise<void> }[] = [];
  afterEach(async () => {
    for (const thread of threads.splice(0)) await thread.close();
  });
  const newThread = (maxJobMs?: number) => {
    const thread = createContentThread(maxJobMs === undefined ? {} : { maxJobMs });
    threads.push(thread);
    return thread;
  };
  const long = { text: letters(1_000_000), param: 'messages.0.content' };
  const short = { text: letters(1_000), param: 'message' };

  it('takes what is long for its patterns or phrases, and nothing else', () => {
    expect(isForThread(policyOf(SLOW), long)).toBe(true);
    expect(isForThread(policyOf(SLOW), short)).toBe(false);
    expect(isForThread(policyOf('x'), { text: letters(100_000), param: '' })).toBe(false);
    // NFKC makes eighteen characters of one.
    expect(isForThread(policyOf('x'), { text: '\ufdfa'.repeat(33_000), param: '' })).toBe(true);
    const phrase = 'a '.repeat(100);
    const rules = { refusal_rules: [{ name: 'long', phrases: [phrase] }] };
    const wordy = tenantConfigSchema.parse({ tenant_id: 'acme', display_name: 'Acme', ...rules });
    expect(isForThread(compilePolicy(wordy, 1), { text: 'a '.repeat(100_000), param: '' })).toBe(true);
  });

  it('says what would be said here', async () => {
    const thread = newThread();
    for (const pattern of ['b{3}a', 'nowhere'] as const) {
      // Two policies of one version would be one to the thread.
      const policy = { ...policyOf(pattern), version: pattern.length };
      expect(await thread.decide(policy, long, never)).toEqual(decideContent(policy, long));
    }
  });

  it('gives a job up after its time, and does the next', async () => {
    const thread = newThread(1_000);
    const slow = policyOf(SLOW, {}, 10);
    const others = Array.from({ length: 3 }, () => thread.decide({ ...slow, version: 1 }, long, never));
    const results = await Promise.allSettled(others);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    const quick = { ...policyOf('nowhere'), version: 2 };
    // A machine that is busy may take long to start a thread.
    await expect
      .poll(() => thread.decide(quick, short, never).catch(() => null), { timeout: 30_000 })
      .toMatchObject({ refusal: null });
  });

  it('does nothing for a request that has left, nor after its end', async () => {
    const thread = newThread();
    await expect(thread.decide(policyOf('x'), short, AbortSignal.abort())).rejects.toThrow(/aborted/);
    await thread.close();
    await expect(thread.decide(policyOf('x'), short, never)).rejects.toThrow(/closed/);
  });

  it('lets others have their turns, and refuses a text that nobody has looked at', async () => {
    const state: RequestState = {
      requestId: acme.requestId,
      startedAt: 0,
      signal: never,
      begun: null,
      principal: null,
      usage: newUsage(),
      failure: null,
      unadmittedBytes: 0,
      settleTokens: () => {},
      release: () => {},
      settlement: null,
    };
    const policy = { ...policyOf(SLOW, {}, 10), membersVersion: 0 };
    const tenant = { kind: 'tenant', context: acme, policy, issuer: null, limits: NO_LIMITS } as const;
    const work = admitTexts({ texts: [long], tenant, state, content: newThread(1_000), logger });
    expect(await turnsDuring(work)).toBeGreaterThan(20);
    await expect(work).rejects.toMatchObject({ code: 'guardrail_refused', param: 'messages.0.content' });
  });
});

it('guards a long conversation in pieces, and not for a client that has left', async () => {
  const created_at = '2026-11-23T00:00:00.000Z';
  const conversation = conversationWithMessagesSchema.parse({
    conversation_id: newConversationId(),
    title: 'Title',
    message_count: 50,
    created_at,
    updated_at: created_at,
    messages: Array.from({ length: 50 }, () => ({
      message_id: newMessageId(),
      role: 'assistant',
      content: 'Hello',
      citations: [],
      request_id: newRequestId(),
      created_at,
    })),
  });
  const busy = function* (text: string): Generator<void, string> {
    const until = performance.now() + 1;
    while (performance.now() < until);
    yield;
    return text.toUpperCase();
  };
  const work = guardConversation(conversation, busy, { tenantId: acme.tenantId, signal: never });
  expect(await turnsDuring(work)).toBeGreaterThan(3);
  expect((await work).messages[49]?.content).toBe('HELLO');
  const aborted = { tenantId: acme.tenantId, signal: AbortSignal.abort() };
  await expect(guardConversation(conversation, busy, aborted)).rejects.toThrow(/aborted/);
});
