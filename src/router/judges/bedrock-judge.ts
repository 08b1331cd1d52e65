import type { BedrockRuntimeClient } from '@aws-sdk/client-bedrock-runtime';
import { z } from 'zod';
import type { JudgeSetting } from '#app/schemas/guardrail-judge.ts';
import { categoryOf, type Judge, JudgeFailure, type Verdict } from '#router/judges/judge.ts';

const statusSchema = z.object({ $metadata: z.object({ httpStatusCode: z.int() }) });

const finding = z.object({ action: z.string(), type: z.string().optional(), name: z.string().optional() });
const findings = z.array(finding).nullish();

/** The members of `GuardrailAssessment` that say what was found; matches, which quote the text, are not read. */
const assessmentSchema = z.object({
  topicPolicy: z.object({ topics: findings }).nullish(),
  contentPolicy: z.object({ filters: findings }).nullish(),
  wordPolicy: z.object({ customWords: findings, managedWordLists: findings }).nullish(),
  sensitiveInformationPolicy: z.object({ piiEntities: findings, regexes: findings }).nullish(),
  contextualGroundingPolicy: z.object({ filters: findings }).nullish(),
});

/**
 * Nothing else of an answer is read where the guardrail did not intervene. Where it did, one finding that cannot be read fails the
 * whole answer: left out, a block would be taken for a mask.
 */
const noneSchema = z.object({ action: z.literal('NONE') });
/** Answer of `ApplyGuardrail` (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ApplyGuardrail.html). */
const answerSchema = z.object({
  action: z.enum(['NONE', 'GUARDRAIL_INTERVENED']),
  outputs: z.array(z.object({ text: z.string().optional() })),
  assessments: z.array(assessmentSchema),
});

/** Waiting for a connection, milliseconds; for the answer, the caller's signal. */
const CONNECT_TIMEOUT_MS = 5_000;

/**
 * Amazon Bedrock’s `ApplyGuardrail`, for one guardrail of one version. What it masks is used as it masked it. Credentials
 * are those of the SDK's default chain: environment, web identity (IRSA), pod identity, task, instance, or profile.
 */
export function createBedrockJudge(setting: Extract<JudgeSetting, { kind: 'bedrock' }>): Judge {
  const {
    region,
    endpoint,
    guardrail_id: guardrailIdentifier,
    guardrail_version: guardrailVersion,
  } = setting;
  let client: Promise<BedrockRuntimeClient> | undefined;

  async function connect(): Promise<BedrockRuntimeClient> {
    // Loaded when it is needed: most deployments have no such judge.
    const { BedrockRuntimeClient } = await import('@aws-sdk/client-bedrock-runtime');
    // Its default speaks HTTP/2 alone, which proxies and emulators on plain HTTP do not.
    const { NodeHttpHandler } = await import('@smithy/node-http-handler');
    // Not bounded here: each tenant has so many places, and they are what bounds the calls.
    const agent = { keepAlive: true, maxSockets: Number.POSITIVE_INFINITY };
    return new BedrockRuntimeClient({
      region,
      ...(endpoint === undefined ? {} : { endpoint }),
      maxAttempts: 2,
      requestHandler: new NodeHttpHandler({
        connectionTimeout: CONNECT_TIMEOUT_MS,
        httpAgent: agent,
        httpsAgent: agent,
      }),
    });
  }

  return {
    async judge({ source, text }, signal) {
      const { ApplyGuardrailCommand } = await import('@aws-sdk/client-bedrock-runtime');
      client ??= connect();
      const command = new ApplyGuardrailCommand({
        guardrailIdentifier,
        guardrailVersion,
        source: source === 'input' ? 'INPUT' : 'OUTPUT',
        content: [{ text: { text } }],
      });
      let output: unknown;
      try {
        output = await (await client).send(command, { abortSignal: signal });
      } catch (error) {
        signal.throwIfAborted();
        throw failureOf(error);
      }
      if (noneSchema.safeParse(output).success) return { outcome: 'safe' };
      const answer = answerSchema.safeParse(output);
      if (!answer.success) throw new JudgeFailure('The guardrail’s answer is not one of ApplyGuardrail.');
      return readAnswer(answer.data);
    },
    async close() {
      (await client)?.destroy();
    },
  };
}

/** What may be told: the service's own messages can quote what was sent. */
function failureOf(error: unknown): JudgeFailure {
  if (error instanceof Error && error.name === 'CredentialsProviderError')
    return new JudgeFailure('There are no AWS credentials.', { cause: error });
  const status = statusSchema.safeParse(error).data?.$metadata.httpStatusCode;
  return new JudgeFailure(
    status === undefined ? 'The judge cannot be reached.' : `The judge answered with status ${status}.`,
    status === undefined ? { cause: error } : {},
  );
}

/**
 * An intervention is a block, unless everything that was found was anonymised: then the first output is the text with it
 * masked, and otherwise the guardrail’s own message.
 */
export function readAnswer({ action, outputs, assessments }: z.infer<typeof answerSchema>): Verdict {
  if (action === 'NONE') return { outcome: 'safe' };
  const found = assessments.flatMap(findingsOf).filter((each) => each.action !== 'NONE');
  const categories = [...new Set(found.map(({ category }) => categoryOf(category)))];
  const [output, ...others] = outputs;
  const isMasked = found.length > 0 && found.every((each) => each.action === 'ANONYMIZED');
  if (!isMasked || output?.text === undefined || others.length > 0) return { outcome: 'unsafe', categories };
  return { outcome: 'masked', categories, text: output.text };
}

function findingsOf(assessment: z.infer<typeof assessmentSchema>): { category: string; action: string }[] {
  const named = (kind: string, list: z.infer<typeof findings>) =>
    (list ?? []).map(({ action, type, name }) => ({ category: `${kind}:${name ?? type ?? 'any'}`, action }));
  const { topicPolicy, contentPolicy, wordPolicy, sensitiveInformationPolicy, contextualGroundingPolicy } =
    assessment;
  return [
    ...named('topic', topicPolicy?.topics),
    ...named('content', contentPolicy?.filters),
    ...named('word', wordPolicy?.customWords),
    ...named('word', wordPolicy?.managedWordLists),
    ...named('pii', sensitiveInformationPolicy?.piiEntities),
    ...named('regex', sensitiveInformationPolicy?.regexes),
    ...named('grounding', contextualGroundingPolicy?.filters),
  ];
}
