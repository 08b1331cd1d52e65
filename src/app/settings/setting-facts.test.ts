import { describe, expect, it } from 'vitest';
import { loadSettings } from '#app/settings/load-settings.ts';
import { shownSetting } from '#app/settings/setting-facts.ts';
import { isSettingName } from '#app/settings/setting-origin.ts';
import { settingsSchema } from '#app/settings/settings.ts';

const PLANTED = 'hunter2hunter2hunter2hunter2hunter2hunter2';

/** A value with the planted secret in it, for every setting that takes one. */
const environment: Record<string, string> = {
  API_KEY_PEPPER: PLANTED,
  CACHE_SALT_SECRET: PLANTED,
  INTERNAL_TOKEN_PRIVATE_KEY: PLANTED,
  INFERENCE_API_KEY: PLANTED,
  OPERATOR_KEY: `bk_${'0'.repeat(26)}_${PLANTED.padEnd(43, 'x')}`,
  DATABASE_URL: `postgresql://user:${PLANTED}@db.example/chat?sslpassword=${PLANTED}`,
  MIGRATION_DATABASE_URL: `postgresql://owner:${PLANTED}@db.example/chat?sslpassword=${PLANTED}`,
  REDIS_URL: `rediss://:${PLANTED}@redis.example:6380`,
  ORCHESTRATOR_URL: `https://user:${PLANTED}@orchestrator.example`,
  RAG_SERVICE_URL: `https://user:${PLANTED}@rag.example`,
  INFERENCE_BASE_URL: `https://user:${PLANTED}@engine.example/v1?key=${PLANTED}`,
  INFERENCE_MODEL: 'm',
  GUARDRAIL_JUDGES: JSON.stringify([
    { kind: 'llama_guard', name: 'g', base_url: 'https://g.example/v1', model: 'm', api_key: PLANTED },
  ]),
};

describe('settings as they are shown', () => {
  const settings = loadSettings(environment);

  it.each(Object.keys(settingsSchema.shape).filter(isSettingName))('%s shows no secret', (name) => {
    expect(shownSetting(name, settings) ?? '').not.toContain('hunter2');
  });

  it('shows what is not secret: hosts, models, switches, and that a secret is there', () => {
    expect(shownSetting('DATABASE_URL', settings)).toBe(
      'postgresql://user:********@db.example/chat?sslpassword=********',
    );
    expect(shownSetting('GUARDRAIL_JUDGES', settings)).toContain('"base_url":"https://g.example/v1"');
    expect(shownSetting('API_KEY_PEPPER', settings)).toBe('********');
    expect(shownSetting('BULKHEAD_DEMO', settings)).toBe('on');
    expect(shownSetting('PORT', settings)).toBe('8080');
    expect(shownSetting('METRICS_PORT', settings)).toBeNull();
  });
});
