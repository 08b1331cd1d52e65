import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { judgeSettingSchema } from '#app/schemas/guardrail-judge.ts';
import { createBedrockJudge } from '#router/judges/bedrock-judge.ts';
import { type Judge, JudgeFailure } from '#router/judges/judge.ts';
import { sendError, startEngineServer } from '#test/support/engine-server.ts';

const USAGE = {
  topicPolicyUnits: 1,
  contentPolicyUnits: 1,
  wordPolicyUnits: 1,
  sensitiveInformationPolicyUnits: 1,
  sensitiveInformationPolicyFreeUnits: 0,
  contextualGroundingPolicyUnits: 0,
};
/** Of the form of the service’s model: action, outputs, assessments, usage. */
const intervened = (text: string, assessment: Record<string, unknown>) => ({
  usage: USAGE,
  action: 'GUARDRAIL_INTERVENED',
  actionReason: 'Guardrail intervened.',
  outputs: [{ text }],
  assessments: [assessment],
});
const SAFE = { usage: USAGE, action: 'NONE', outputs: [], assessments: [{}] };
const { signal } = new AbortController();

const opened: (() => Promise<unknown>)[] = [];
beforeEach(() => {
  // Nothing of this machine's: neither its profile nor its instance's role.
  vi.stubEnv('AWS_CONFIG_FILE', '/nonexistent');
  vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', '/nonexistent');
  vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIDEXAMPLE');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
  vi.stubEnv('AWS_SESSION_TOKEN', 'session');
});
afterEach(async () => {
  vi.unstubAllEnvs();
  for (const close of opened.splice(0).reverse()) await close();
});

/** A judge on a server of its own. */
async function open(answer: Parameters<typeof startEngineServer>[0]) {
  const server = await startEngineServer(answer);
  const setting = judgeSettingSchema.parse({
    kind: 'bedrock',
    name: 'strict',
    region: 'eu-central-1',
    guardrail_id: 'arn:aws:bedrock:eu-central-1:123456789012:guardrail/abc123xyz',
    guardrail_version: '7',
    endpoint: new URL(server.baseUrl).origin,
  });
  if (setting.kind !== 'bedrock') throw new Error('It is another kind.');
  const judge: Judge = createBedrockJudge(setting);
  opened.push(server.close, () => judge.close());
  return { judge, server };
}

const TEXT = { source: 'input', text: 'Call 555 0100', lead: 'before', question: 'Which?' } as const;

async function ask(answer: unknown, source: 'input' | 'output' = 'input', status = 200) {
  const { judge, server } = await open((_call, response) => sendError(response, status, answer));
  return { verdict: await judge.judge({ ...TEXT, source }, signal), call: server.calls[0] };
}

describe('ApplyGuardrail', () => {
  test('is asked as the service’s model has it, and signed', async () => {
    const { verdict, call } = await ask(SAFE);
    expect(verdict).toEqual({ outcome: 'safe' });
    expect(call?.method).toBe('POST');
    expect(call?.path).toBe(
      '/guardrail/arn%3Aaws%3Abedrock%3Aeu-central-1%3A123456789012%3Aguardrail%2Fabc123xyz/version/7/apply',
    );
    expect(call?.body).toEqual({ source: 'INPUT', content: [{ text: { text: 'Call 555 0100' } }] });
    expect(call?.headers.authorization).toMatch(
      /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d{8}\/eu-central-1\/bedrock\/aws4_request, SignedHeaders=.*host.*Signature=[0-9a-f]{64}$/,
    );
    expect(call?.headers['x-amz-security-token']).toBe('session');
  });

  test('an answer is judged as an output', async () => {
    const { call } = await ask(SAFE, 'output');
    expect(call?.body.source).toBe('OUTPUT');
  });

  test('what is anonymised comes back masked', async () => {
    const { verdict } = await ask(
      intervened('Call {PHONE}', {
        sensitiveInformationPolicy: {
          piiEntities: [{ match: '555 0100', type: 'PHONE', action: 'ANONYMIZED', detected: true }],
          regexes: [],
        },
        contentPolicy: {
          filters: [
            { type: 'HATE', confidence: 'LOW', filterStrength: 'LOW', action: 'NONE', detected: true },
          ],
        },
      }),
    );
    expect(verdict).toEqual({ outcome: 'masked', categories: ['pii:PHONE'], text: 'Call {PHONE}' });
  });

  test.each([
    [
      'one finding is blocked beside others that are anonymised',
      {
        sensitiveInformationPolicy: {
          piiEntities: [{ match: 'x', type: 'PHONE', action: 'ANONYMIZED' }],
          regexes: [{ name: 'ticket/№', match: 'x', regex: 'x', action: 'ANONYMIZED' }],
        },
        contentPolicy: { filters: [{ type: 'VIOLENCE', confidence: 'HIGH', action: 'BLOCKED' }] },
      },
      ['content:VIOLENCE', 'pii:PHONE', 'regex:ticket__'],
    ],
    [
      'a topic is denied',
      { topicPolicy: { topics: [{ name: 'Legal advice', type: 'DENY', action: 'BLOCKED' }] } },
      ['topic:Legal advice'],
    ],
    [
      'a word is blocked, which is not told',
      {
        wordPolicy: {
          customWords: [{ match: 'heron', action: 'BLOCKED' }],
          managedWordLists: [{ match: 'damn', type: 'PROFANITY', action: 'BLOCKED' }],
        },
      },
      ['word:any', 'word:PROFANITY'],
    ],
    ['no reason is known', { automatedReasoningPolicy: { findings: [] } }, []],
  ])('it is unsafe where %s', async (_name, assessment, categories) => {
    const { verdict } = await ask(intervened('Sorry, no.', assessment));
    expect(verdict).toEqual({ outcome: 'unsafe', categories });
  });

  test.each([
    ['an unknown action', { usage: USAGE, action: 'MAYBE', outputs: [], assessments: [] }, 200],
    ['no action', { usage: USAGE, outputs: [], assessments: [] }, 200],
    ['throttling', { message: 'Rate exceeded' }, 429],
    ['an unknown guardrail', { message: 'The guardrail identifier is not valid.' }, 404],
  ])('%s is a failure', async (_name, answer, status) => {
    await expect(ask(answer, 'input', status)).rejects.toThrow(JudgeFailure);
  });
});

describe('a call', () => {
  test('ends with its signal, and the next one is answered', async () => {
    let isSilent = true;
    const { judge, server } = await open((_call, response) => {
      if (!isSilent) return sendError(response, 200, SAFE);
    });
    const leaving = new AbortController();
    const asked = judge.judge(TEXT, leaving.signal);
    const failed = expect(asked).rejects.toThrow('left');
    await expect.poll(() => server.calls.length).toBe(1);
    leaving.abort(new Error('left'));
    await failed;
    isSilent = false;
    await expect(judge.judge(TEXT, signal)).resolves.toEqual({ outcome: 'safe' });
  });

  test('that meets nobody is a failure', async () => {
    const { judge, server } = await open(() => undefined);
    await server.close();
    await expect(judge.judge(TEXT, signal)).rejects.toThrow('The judge cannot be reached.');
  });

  test('that is refused does not repeat what the service says', async () => {
    const message = 'The text “Call 555 0100” is not valid.';
    await expect(ask({ message }, 'input', 400)).rejects.toThrow(/^The judge answered with status 400\.$/);
  });
});

describe('credentials', () => {
  beforeEach(() => {
    for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'])
      vi.stubEnv(name, undefined);
  });

  async function tokenFile(): Promise<string> {
    const directory = await mkdtemp(join(tmpdir(), 'bulkhead-aws-'));
    opened.push(() => rm(directory, { recursive: true }));
    const path = join(directory, 'token');
    await writeFile(path, 'pod-token');
    return path;
  }

  const inAnHour = () => new Date(Date.now() + 3_600_000).toISOString();

  test('that are not there are a failure', async () => {
    await expect(ask(SAFE)).rejects.toThrow('There are no AWS credentials.');
  });

  test('of a role for a service account (IRSA) are asked of STS, once', async () => {
    let asked = 0;
    const sts = createServer((_request, response) => {
      asked += 1;
      response.writeHead(200, { 'content-type': 'text/xml' }).end(`
        <AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>
          <Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>
          <SessionToken>of-the-role</SessionToken><Expiration>${inAnHour()}</Expiration></Credentials>
        </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`);
    });
    await once(sts.listen(0, '127.0.0.1'), 'listening');
    opened.push(async () => {
      sts.closeAllConnections();
      sts.close();
    });
    const { port } = sts.address() as AddressInfo;
    vi.stubEnv('AWS_ROLE_ARN', 'arn:aws:iam::123456789012:role/router');
    vi.stubEnv('AWS_WEB_IDENTITY_TOKEN_FILE', await tokenFile());
    vi.stubEnv('AWS_ENDPOINT_URL_STS', `http://127.0.0.1:${port}`);
    const { judge, server } = await open((_call, response) => sendError(response, 200, SAFE));
    await judge.judge(TEXT, signal);
    await judge.judge(TEXT, signal);
    expect(asked).toBe(1);
    expect(server.calls[1]?.headers).toMatchObject({
      authorization: expect.stringContaining('Credential=ASIAROLE/'),
      'x-amz-security-token': 'of-the-role',
    });
  });

  test('of a pod’s identity are asked of its agent, with its token', async () => {
    const agent = await startEngineServer((_call, response) =>
      sendError(response, 200, {
        AccessKeyId: 'ASIAPOD',
        SecretAccessKey: 'secret',
        Token: 'of-the-pod',
        Expiration: inAnHour(),
      }),
    );
    opened.push(agent.close);
    vi.stubEnv('AWS_CONTAINER_CREDENTIALS_FULL_URI', `${agent.baseUrl}/credentials`);
    vi.stubEnv('AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE', await tokenFile());
    const { call } = await ask(SAFE);
    expect(agent.calls[0]?.headers.authorization).toBe('pod-token');
    expect(call?.headers['x-amz-security-token']).toBe('of-the-pod');
  });
});
