import { describe, expect, test } from 'vitest';
import { createLogger } from '#observability/logger.ts';
import { createInputGuardrails } from '#router/guardrails/create-guardrails.ts';
import { createOutputGuardrails } from '#router/guardrails/create-output-guardrails.ts';
import { loadGuardrailModels } from '#router/guardrails/load-models.ts';
import type { RouterServices } from '#router/router-services.ts';
import { createRouterFixture } from '#test/support/router-fixture.ts';

const logged: string[] = [];
const destination = { write: (line: string) => void logged.push(line) };
const logger = createLogger({ level: 'info', service: 'router', destination });
const payload = {
  model: 'org/model-a',
  messages: [{ role: 'user', content: 'A question of some length, twice the length of a short one.' }],
};

/** A router with these guardrails, asked once. */
async function askWith(guardrails: RouterServices['guardrails']) {
  const fixture = await createRouterFixture({ logger, guardrails });
  try {
    const headers = await fixture.keyOf('acme');
    const url = '/v1/chat/completions';
    return {
      response: await fixture.app.inject({ method: 'POST', url, headers, payload }),
      turns: fixture.turns,
    };
  } finally {
    await fixture.close();
  }
}

const fail = () => {
  throw new Error('out of order');
};

describe('a guardrail that fails', () => {
  test('denies, says so, and keeps its reasons to the log', async () => {
    const models = await loadGuardrailModels();
    const { response, turns } = await askWith({
      input: createInputGuardrails({ models, logger, inspectorOf: () => fail }),
      output: createOutputGuardrails({ models, logger }),
    });
    expect(response.statusCode).toBe(403);
    expect(response.json().error).toMatchObject({
      code: 'guardrail_refused',
      refusal: { policy: 'guardrails' },
    });
    expect(response.body).not.toContain('out of order');
    expect(logged.join('')).toContain('out of order');
    expect(turns).toHaveLength(0);
  });

  test('denies on the way out as well', async () => {
    const models = await loadGuardrailModels();
    const scanner = { scannedTo: 0, push: fail, end: () => [] };
    const { response } = await askWith({
      input: createInputGuardrails({ models, logger }),
      output: createOutputGuardrails({
        models,
        logger,
        compile: () => ({
          isActive: true,
          isHarmless: () => false,
          inspect: () => [],
          inspectInSteps: function* () {
            yield;
            return [];
          },
          scanners: () => [scanner],
        }),
      }),
    });
    expect(response.statusCode).toBe(403);
    expect(response.json().error.refusal.policy).toBe('guardrails');
    expect(response.body).not.toContain('three');
  });
});
