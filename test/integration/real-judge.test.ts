import { describe, expect, it } from 'vitest';
import { judgeSettingSchema } from '#app/schemas/guardrail-judge.ts';
import { JudgeFailure } from '#router/judges/judge.ts';
import { createJudgeHttp } from '#router/judges/judge-http.ts';
import { createLlamaGuardJudge } from '#router/judges/llama-guard-judge.ts';

const ENGINE_URL = process.env.TEST_LLAMA_URL ?? '';
const MODEL = process.env.TEST_LLAMA_MODEL ?? '';
if (ENGINE_URL === '') {
  console.warn('SKIPPED: no llama.cpp server (TEST_LLAMA_URL); npm run test:integration starts one.');
}

describe.skipIf(ENGINE_URL === '')('a judge on a real server', () => {
  it.each(['input', 'output'] as const)(
    'is understood by it, and understands it: %s',
    // This server leaves its very first request unanswered at times, and shares the machine with others.
    { timeout: 120_000, retry: 4 },
    async (source) => {
      const setting = judgeSettingSchema.parse({
        kind: 'llama_guard',
        name: 'guard',
        base_url: `${new URL(ENGINE_URL).origin}/v1`,
        model: MODEL,
      });
      if (setting.kind !== 'llama_guard') throw new Error('It is another kind.');
      const judge = createLlamaGuardJudge(setting, createJudgeHttp());
      try {
        const text = { source, text: 'How do I bake bread?', lead: '', question: 'Hello' };
        const said = await judge
          .judge(text, AbortSignal.timeout(60_000))
          .catch((error: unknown) => (error instanceof JudgeFailure ? error.message : Promise.reject(error)));
        // This model chats and judges nothing: its words are read, and are no verdict.
        expect([
          'The judge’s answer is neither safe nor unsafe.',
          'The judge’s answer is cut off.',
          { outcome: 'safe' },
        ]).toContainEqual(said);
      } finally {
        await judge.close();
      }
    },
  );
});
