import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { newConversationId, newMessageId } from '#app/ids.ts';
import type { ConversationWithMessages } from '#app/schemas/conversation.ts';
import { judgeSettingsSchema } from '#app/schemas/guardrail-judge.ts';
import { tenantConfigSchema } from '#app/schemas/tenant-config.ts';
import type { TurnEvent, TurnRequest } from '#app/schemas/turn.ts';
import { silentLogger } from '#observability/logger.ts';
import { createJudges, type Judges } from '#router/judges/create-judges.ts';
import { createJudgeGuardrails } from '#router/judges/judged-guardrails.ts';
import { compilePolicy } from '#router/policy/compile-policy.ts';
import { itemsOf, oneByOne } from '#test/support/batches.ts';
import { type EngineServer, sendError, startEngineServer } from '#test/support/engine-server.ts';
import { testContext } from '#test/support/test-context.ts';

/** A guardrail that masks phone numbers, and blocks bombs, as ApplyGuardrail tells of it. */
function applyGuardrail(text: string) {
  const usage = {
    topicPolicyUnits: 1,
    contentPolicyUnits: 1,
    wordPolicyUnits: 1,
    sensitiveInformationPolicyUnits: 1,
    sensitiveInformationPolicyFreeUnits: 0,
    contextualGroundingPolicyUnits: 0,
  };
  const action = 'GUARDRAIL_INTERVENED';
  if (text.includes('bomb')) {
    const topics = [{ name: 'Weapons', type: 'DENY', action: 'BLOCKED' }];
    return { usage, action, outputs: [{ text: 'Sorry.' }], assessments: [{ topicPolicy: { topics } }] };
  }
  const masked = text.replace(/555-\d{4}/g, '{PHONE}');
  if (masked === text) return { usage, action: 'NONE', outputs: [], assessments: [{}] };
  const piiEntities = [{ match: '555', type: 'PHONE', action: 'ANONYMIZED' }];
  const assessments = [{ sensitiveInformationPolicy: { piiEntities, regexes: [] } }];
  return { usage, action, outputs: [{ text: masked }], assessments };
}

let server: EngineServer;
let judges: Judges;
beforeAll(async () => {
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIDEXAMPLE');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
  server = await startEngineServer((call, response) => {
    const [block] = Array.isArray(call.body.content) ? call.body.content : [];
    return sendError(response, 200, applyGuardrail(block.text.text));
  });
  judges = createJudges({
    settings: {
      GUARDRAIL_JUDGES: judgeSettingsSchema.parse([
        {
          kind: 'bedrock',
          name: 'strict',
          region: 'eu-central-1',
          guardrail_id: 'abc123',
          guardrail_version: '1',
          endpoint: new URL(server.baseUrl).origin,
        },
      ]),
    },
    monotonicNow: () => performance.now(),
  });
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await judges.close();
  await server.close();
});

const context = testContext('acme');
const request = {
  policy: compilePolicy(
    tenantConfigSchema.parse({
      tenant_id: 'acme',
      display_name: 'Acme',
      guardrails: { judges: [{ judge: 'strict' }] },
    }),
    1,
  ),
  context,
  requestId: context.requestId,
  signal: new AbortController().signal,
};
const turn: TurnRequest = {
  route: 'direct',
  model: 'm',
  messages: [{ role: 'user', content: 'Hello' }],
  persist: false,
  sampling: {},
  engine_parameters: {},
  policy: { blocked_tools: [], rag: { top_k: 6, rerank: false, diversity: 0.3 } },
};
const guardrails = () => createJudgeGuardrails({ judges, logger: silentLogger });
beforeEach(() => {
  server.calls.length = 0;
});

describe('what a guardrail masks on its way in', () => {
  const judge = (messages: TurnRequest['messages'], engine_parameters = {}) =>
    guardrails().judgeTurn(request, { ...turn, messages, engine_parameters });

  test('is masked in a message', async () => {
    const judged = await judge([
      { role: 'user', content: 'Hi' },
      { role: 'user', content: 'Call 555-0100 or 555-0101.' },
    ]);
    expect(judged.messages).toEqual([
      { role: 'user', content: 'Hi' },
      { role: 'user', content: 'Call {PHONE} or {PHONE}.' },
    ]);
  });

  test('and in its parts, also across them', async () => {
    const image = { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } };
    const judged = await judge([
      {
        role: 'user',
        content: [{ type: 'text', text: 'Call 555-' }, image, { type: 'text', text: '0100.' }],
      },
    ]);
    expect(judged.messages[0]?.content).toEqual([
      { type: 'text', text: 'Call {PHONE}.' },
      image,
      { type: 'text', text: '' },
    ]);
  });

  test.each([
    [
      'in tool arguments',
      [
        {
          role: 'assistant' as const,
          content: 'Calling.',
          tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{"n":"555-0100"}' } }],
        },
      ],
      {},
      'messages.0',
    ],
    ['in a parameter', [{ role: 'user' as const, content: 'Hi' }], { stop: ['at 555-0100'] }, 'stop'],
  ])('is refused where nothing can stand in its place: %s', async (_name, messages, parameters, param) => {
    await expect(judge(messages, parameters)).rejects.toMatchObject({ code: 'guardrail_refused', param });
  });
});

describe('what a guardrail masks on its way out', () => {
  const finished: TurnEvent = {
    type: 'finished',
    finish_reason: 'stop',
    token_usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
    citations: [],
    chunk_ids: [],
    refusal_reason: null,
    timings: { retrieve_ms: 0, generate_ms: 0, first_token_ms: null },
  };
  async function judge(events: readonly TurnEvent[]): Promise<TurnEvent[]> {
    const given = async function* () {
      yield* events;
    };
    const judged: TurnEvent[] = [];
    for await (const event of itemsOf(guardrails().judgeAnswer(request, turn, oneByOne(given()))))
      judged.push(event);
    return judged;
  }

  test('is masked across deltas', async () => {
    const pieces = ['Call 5', '55-01', '00 now.'].map((text): TurnEvent => ({ type: 'delta', text }));
    const judged = await judge([...pieces, finished]);
    expect(judged.map((event) => (event.type === 'delta' ? event.text : event.type))).toEqual([
      'Call {PHONE} now.',
      '',
      '',
      'finished',
    ]);
  });

  test('in one choice, with its log probabilities, and not in the other', async () => {
    const chunk = (index: number, content: string): TurnEvent => ({
      type: 'chunk',
      chunk: {
        id: 'x',
        object: 'chat.completion.chunk',
        created: 1,
        model: 'm',
        choices: [
          { index, delta: { content }, logprobs: { content: [{ token: content }] }, finish_reason: null },
        ],
      },
    });
    const judged = await judge([chunk(0, 'Call 555-'), chunk(1, 'Hello'), chunk(0, '0100'), finished]);
    expect(JSON.stringify(judged)).not.toContain('0100');
    const contents = judged.flatMap((event) =>
      event.type === 'chunk' ? event.chunk.choices.map(({ delta }) => delta.content) : [],
    );
    expect(contents).toEqual(['Call {PHONE}', 'Hello', '']);
  });

  test('an answer that breaks off is not sent unjudged', async () => {
    const breaks = async function* (): AsyncGenerator<TurnEvent, void> {
      yield { type: 'delta', text: 'Call 555-0100' };
      throw new Error('broken off');
    };
    const judged: TurnEvent[] = [];
    const read = async () => {
      for await (const event of itemsOf(guardrails().judgeAnswer(request, turn, oneByOne(breaks()))))
        judged.push(event);
    };
    await expect(read()).rejects.toThrow('broken off');
    expect(judged).toEqual([]);
  });

  test('an engine that sends nothing but empty pieces is not held for ever', async () => {
    const empty: TurnEvent[] = Array.from({ length: 5_000 }, () => ({ type: 'delta', text: '' }));
    expect(await judge([...empty, finished])).toHaveLength(5_001);
    expect(server.calls).toHaveLength(0);
  });
});

describe('a stored conversation', () => {
  const conversation = (...answers: string[]): ConversationWithMessages => ({
    conversation_id: newConversationId(),
    title: 'A title',
    message_count: answers.length,
    created_at: '2026-11-23T09:00:00Z',
    updated_at: '2026-11-23T09:00:00Z',
    messages: answers.map((content) => ({
      message_id: newMessageId(),
      role: 'assistant',
      content,
      citations: [],
      request_id: context.requestId,
      created_at: '2026-11-23T09:00:00Z',
    })),
  });
  const read = async (...answers: string[]) =>
    (await guardrails().judgeConversation(request, conversation(...answers))).messages.map(
      ({ content }) => content,
    );

  test('that is safe takes one call', async () => {
    expect(await read('One.', 'Two.', 'Three.')).toEqual(['One.', 'Two.', 'Three.']);
    expect(server.calls).toHaveLength(1);
  });

  test('shows no answer that the judge refused', async () => {
    expect(await read('Safe.', 'A bomb.', 'Call 555-0100.')).toEqual([
      'Safe.',
      '[REDACTED:judge]',
      'Call {PHONE}.',
    ]);
  });
});
