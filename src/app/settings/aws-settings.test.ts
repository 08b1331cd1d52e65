import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { SecretsReader, SecretVersion } from '#app/settings/aws/secrets-reader.ts';
import { openSettings } from '#app/settings/aws-settings.ts';
import type { LiveSettings, SettingsEvents } from '#app/settings/live-settings.ts';
import { SettingsError } from '#app/settings/load-settings.ts';

/** Secrets in memory; the real service is asked in test/integration/aws-settings.test.ts. */
class Secrets {
  readonly #secrets = new Map<string, SecretVersion>();
  #version = 0;
  reads = 0;
  failure: Error | undefined;

  put(id: string, value: unknown): void {
    this.#version += 1;
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    this.#secrets.set(id, { id, versionId: String(this.#version), text });
  }

  openReader = async ({
    region,
    roleArn,
  }: {
    region: string;
    roleArn: string | undefined;
  }): Promise<SecretsReader> => ({
    read: async (setting, ids) => {
      this.reads += 1;
      if (this.failure !== undefined) throw this.failure;
      return ids.map((id) => {
        const found = this.#secrets.get(id);
        if (found === undefined)
          throw new SettingsError(`${setting}: the secret "${id}" does not exist in ${region}`);
        return found;
      });
    },
    identity: async () => ({ region, roleArn: roleArn ?? null, credentials: 'environment' }),
    close: () => {},
  });

  open(
    environment: Record<string, string>,
    now: () => number = () => performance.now(),
  ): Promise<LiveSettings> {
    return openSettings({ AWS_REGION: 'eu-central-1', ...environment }, { openReader: this.openReader, now });
  }
}

const PEPPER = 'p'.repeat(40);

describe('settings from Secrets Manager', () => {
  it('asks nobody where no secret is named', async () => {
    const secrets = new Secrets();
    const live = await secrets.open({ PORT: '9000' });
    expect(live.settings.PORT).toBe(9_000);
    expect(live.aws).toBeNull();
    expect(secrets.reads).toBe(0);
    expect(live.originOf('PORT')).toEqual({ kind: 'environment' });
    expect(live.originOf('HOST')).toEqual({ kind: 'default' });
    expect(await live.refresh()).toBe(false);
  });

  it('takes the environment first, then the secrets, then the defaults', async () => {
    const secrets = new Secrets();
    secrets.put('a', { API_KEY_PEPPER: PEPPER, PORT: 9_001, LOG_LEVEL: 'warn', BULKHEAD_DEMO: false });
    secrets.put('b', {
      JWT_ISSUERS: [
        { issuer: 'https://i.example', audience: 'x', jwks_url: 'https://i.example/k', tenant_claim: 't' },
      ],
      REDIS_URL: null,
    });
    const live = await secrets.open({ AWS_SECRETS_ID: 'a, b', LOG_LEVEL: 'error', PORT: ' ' });
    expect(live.settings).toMatchObject({
      API_KEY_PEPPER: PEPPER,
      PORT: 9_001,
      LOG_LEVEL: 'error',
      BULKHEAD_DEMO: false,
      JWT_ISSUERS: [{ issuer: 'https://i.example' }],
      HOST: '127.0.0.1',
    });
    expect(live.settings.REDIS_URL).toBeUndefined();
    expect(live.originOf('PORT')).toEqual({ kind: 'secret', id: 'a' });
    expect(live.originOf('LOG_LEVEL')).toEqual({ kind: 'environment' });
    expect(live.originOf('REDIS_URL')).toEqual({ kind: 'default' });
    expect(live.aws).toEqual({ region: 'eu-central-1', roleArn: null, credentials: 'environment' });
  });

  it('puts the login of a database secret into the URL, whatever characters it has', async () => {
    const secrets = new Secrets();
    const password = 'p@ss/w:rd?%# ü';
    secrets.put('rds', {
      username: 'bulk head',
      password,
      engine: 'postgres',
      host: 'db.example',
      port: 5_433,
      dbname: 'chat',
    });
    const own = new URL((await secrets.open({ DATABASE_SECRET_ID: 'rds' })).settings.DATABASE_URL ?? '');
    expect([
      own.host,
      own.pathname,
      decodeURIComponent(own.username),
      decodeURIComponent(own.password),
    ]).toEqual(['db.example:5433', '/chat', 'bulk head', password]);
    const live = await secrets.open({
      DATABASE_SECRET_ID: 'rds',
      DATABASE_URL: 'postgresql://proxy.example:6432/other?sslmode=verify-full',
    });
    const given = new URL(live.settings.DATABASE_URL ?? '');
    expect(given.host + given.pathname + given.search).toBe('proxy.example:6432/other?sslmode=verify-full');
    expect(decodeURIComponent(given.password)).toBe(password);
    expect(live.originOf('DATABASE_URL')).toEqual({ kind: 'secret', id: 'rds' });
  });

  it.each<[string, Record<string, string>, unknown, RegExp]>([
    ['a missing secret', { AWS_SECRETS_ID: 'none' }, {}, /^AWS_SECRETS_ID: the secret "none" does not exist/],
    ['no JSON', { AWS_SECRETS_ID: 'a' }, 'hunter2', /^AWS_SECRETS_ID: the secret "a" is not JSON$/],
    ['a list', { AWS_SECRETS_ID: 'a' }, ['hunter2'], /^AWS_SECRETS_ID: the secret "a" is not a JSON object$/],
    [
      'a member that is no setting',
      { AWS_SECRETS_ID: 'a' },
      { PROT: 'hunter2' },
      /the member "PROT" of the secret "a" is not a setting$/,
    ],
    [
      'a name of the language',
      { AWS_SECRETS_ID: 'a' },
      '{"__proto__": "hunter2"}',
      /"__proto__".* is not a setting$/,
    ],
    [
      'a setting that says where secrets are',
      { AWS_SECRETS_ID: 'a' },
      { AWS_REGION: 'hunter2' },
      /AWS_REGION cannot be in the secret "a"/,
    ],
    [
      'a value that is not valid',
      { AWS_SECRETS_ID: 'a' },
      { PORT: 'hunter2' },
      /PORT \(in the secret "a"\): /,
    ],
    [
      'a member of two secrets',
      { AWS_SECRETS_ID: 'a,b' },
      { PORT: 1 },
      /PORT is in two secrets, "a" and "b"/,
    ],
    [
      'a login without a password',
      { DATABASE_SECRET_ID: 'a' },
      { username: 'hunter2' },
      /^DATABASE_SECRET_ID: the secret "a" has no valid password$/,
    ],
    [
      'a login without a host',
      { DATABASE_SECRET_ID: 'a' },
      { username: 'x', password: 'hunter2' },
      /has no host; give one with DATABASE_URL$/,
    ],
    [
      'two passwords',
      { DATABASE_SECRET_ID: 'a', DATABASE_URL: 'postgresql://u:hunter2@h/d' },
      { username: 'x', password: 'hunter2' },
      /^DATABASE_URL: has a password/,
    ],
    ['no region', { AWS_SECRETS_ID: 'a', AWS_REGION: '' }, {}, /^AWS_REGION: is needed with AWS_SECRETS_ID$/],
  ])('stops the start with a line that holds no value: %s', async (_what, environment, value, message) => {
    const secrets = new Secrets();
    for (const id of ['a', 'b']) secrets.put(id, value);
    const failure = await secrets.open(environment).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(SettingsError);
    expect(String(failure)).not.toContain('hunter2');
    expect(failure).toHaveProperty('message', expect.stringMatching(message));
  });
});

describe('secrets that change', () => {
  const environment = { AWS_SECRETS_ID: 'a', AWS_SECRETS_REFRESH_SECONDS: '3600' };
  /** Each look is past the cooldown of the one before. */
  const ticking = () => {
    let at = 0;
    return () => {
      at += 10_000;
      return at;
    };
  };

  function record(live: LiveSettings) {
    const seen: string[] = [];
    const events: SettingsEvents = {
      onReloaded: (names) => seen.push(`reloaded ${names}`),
      onRestartNeeded: (names) => seen.push(`restart ${names}`),
      onRefreshFailed: (error) => seen.push(`failed ${error instanceof Error ? error.message : error}`),
      onRefreshRecovered: () => seen.push('recovered'),
    };
    live.watch(events);
    return seen;
  }

  it('takes over what can change live, and says of the rest that it needs a restart', async () => {
    const secrets = new Secrets();
    secrets.put('a', { INFERENCE_API_KEY: 'one', API_KEY_PEPPER: PEPPER });
    const live = await secrets.open(environment, ticking());
    const seen = record(live);
    const told: (string | undefined)[] = [];
    const stop = live.onChange((settings) => told.push(settings.INFERENCE_API_KEY));
    expect(await live.refresh()).toBe(false);
    secrets.put('a', { INFERENCE_API_KEY: 'two', API_KEY_PEPPER: 'q'.repeat(40) });
    expect(await live.refresh()).toBe(true);
    expect(live.current().INFERENCE_API_KEY).toBe('two');
    expect(live.current().API_KEY_PEPPER).toBe(PEPPER);
    expect(live.settings.INFERENCE_API_KEY).toBe('one');
    stop();
    secrets.put('a', { API_KEY_PEPPER: PEPPER });
    expect(await live.refresh()).toBe(true);
    expect(live.current().INFERENCE_API_KEY).toBeUndefined();
    expect(told).toEqual(['two']);
    expect(seen).toEqual([
      'reloaded INFERENCE_API_KEY',
      'restart API_KEY_PEPPER',
      'reloaded INFERENCE_API_KEY',
    ]);
    live.close();
  });

  it('keeps the last good values while secrets are unreachable or not valid', async () => {
    const secrets = new Secrets();
    secrets.put('a', { INFERENCE_API_KEY: 'one' });
    const live = await secrets.open(environment, ticking());
    const seen = record(live);
    secrets.failure = new Error('no route');
    expect(await live.refresh()).toBe(false);
    secrets.failure = undefined;
    secrets.put('a', { INFERENCE_API_KEY: 'two', PORT: 'hunter2' });
    expect(await live.refresh()).toBe(false);
    expect(live.current().INFERENCE_API_KEY).toBe('one');
    secrets.put('a', { INFERENCE_API_KEY: 'two' });
    expect(await live.refresh()).toBe(true);
    expect(seen).toEqual([
      'failed no route',
      expect.stringMatching(/^failed [\s\S]*PORT \(in the secret "a"\)/),
      'reloaded INFERENCE_API_KEY',
      'recovered',
    ]);
    expect(seen.join()).not.toContain('hunter2');
    live.close();
  });

  it('shares one look among all who ask at once, and none comes sooner than two seconds after another', async () => {
    const secrets = new Secrets();
    secrets.put('a', { INFERENCE_API_KEY: 'one' });
    let at = 10_000;
    const live = await secrets.open(environment, () => at);
    at += 5_000;
    await Promise.all(Array.from({ length: 100 }, () => live.refresh()));
    expect(secrets.reads).toBe(2);
    secrets.put('a', { INFERENCE_API_KEY: 'two' });
    at += 1_900;
    const soon = live.refresh();
    await delay(20);
    expect(secrets.reads).toBe(2);
    expect(await soon).toBe(true);
    expect(secrets.reads).toBe(3);
    live.close();
    expect(await live.refresh()).toBe(false);
  });

  it('looks by itself', async () => {
    const secrets = new Secrets();
    secrets.put('a', { INFERENCE_API_KEY: 'one' });
    const live = await secrets.open({ ...environment, AWS_SECRETS_REFRESH_SECONDS: '1' });
    record(live);
    secrets.put('a', { INFERENCE_API_KEY: 'two' });
    await expect.poll(() => live.current().INFERENCE_API_KEY, { timeout: 20_000 }).toBe('two');
    live.close();
  });
});
