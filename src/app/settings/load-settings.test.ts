import { describe, expect, it } from 'vitest';
import { loadSettings } from '#app/settings/load-settings.ts';

describe('loadSettings', () => {
  it('needs nothing: every setting has a default or may be absent', () => {
    expect(loadSettings({})).toMatchObject({ HOST: '127.0.0.1', PORT: 8080, BULKHEAD_DEMO: true });
  });

  it('treats an empty variable as absent', () => {
    expect(loadSettings({ PORT: '', DATABASE_URL: '  ' })).toMatchObject({ PORT: 8080 });
  });

  it('reads numbers and switches', () => {
    expect(loadSettings({ PORT: '0', BULKHEAD_DEMO: 'off' })).toMatchObject({
      PORT: 0,
      BULKHEAD_DEMO: false,
    });
  });

  it('names every variable that is wrong, and no value', () => {
    const load = () =>
      loadSettings({ PORT: '99999', API_KEY_PEPPER: 'short-secret', BULKHEAD_DEMO: 'maybe' });
    expect(load).toThrow(/PORT[\s\S]*BULKHEAD_DEMO|BULKHEAD_DEMO[\s\S]*PORT/);
    expect(load).toThrow(/API_KEY_PEPPER/);
    expect(load).not.toThrow(/short-secret/);
  });

  it('refuses an engine without a model', () => {
    expect(() => loadSettings({ INFERENCE_BASE_URL: 'http://127.0.0.1:8000/v1' })).toThrow(/INFERENCE_MODEL/);
  });

  it('refuses a database that is not PostgreSQL', () => {
    expect(() => loadSettings({ DATABASE_URL: 'mysql://localhost/x' })).toThrow(/DATABASE_URL/);
  });

  it('refuses CloudWatch without a region, wherever one is needed', () => {
    expect(() => loadSettings({ CLOUDWATCH_METRICS: 'api' })).toThrow(/AWS_REGION/);
    expect(() => loadSettings({ CLOUDWATCH_LOG_GROUP: '/bulkhead' })).toThrow(/AWS_REGION/);
    expect(loadSettings({ CLOUDWATCH_METRICS: 'emf' }).CLOUDWATCH_METRICS).toBe('emf');
    expect(
      loadSettings({
        CLOUDWATCH_METRICS: 'api',
        AWS_REGION: 'eu-central-1',
        METRICS_TENANTS: 'acme, globex',
      }),
    ).toMatchObject({ CLOUDWATCH_NAMESPACE: 'multi-tenant-chatbot', METRICS_TENANTS: ['acme', 'globex'] });
    expect(loadSettings({ METRICS_TENANTS: '*' }).METRICS_TENANTS).toBe('*');
  });

  it.each([
    ['CLOUDWATCH_METRICS', 'yes'],
    ['CLOUDWATCH_NAMESPACE', 'AWS/EC2'],
    ['CLOUDWATCH_NAMESPACE', 'a b'],
    ['METRICS_TENANTS', 'acme,*'],
    ['METRICS_TENANTS', 'Not A Tenant'],
    ['CLOUDWATCH_LOG_GROUP', 'a group'],
    ['CLOUDWATCH_LOG_RETENTION_DAYS', '2'],
  ])('refuses %s=%s, which CloudWatch would refuse later', (name, value) => {
    expect(() => loadSettings({ AWS_REGION: 'eu-central-1', [name]: value })).toThrow(name);
  });

  it.each([
    'LANGSMITH_TRACING',
    'LANGSMITH_TRACING_V2',
    'LANGCHAIN_TRACING',
    'LANGCHAIN_TRACING_V2',
    'LANGCHAIN_VERBOSE',
  ])('refuses %s, by which a library would give customers’ texts away', (name) => {
    for (const value of ['true', 'TRUE', '1', 'yes']) {
      expect(() => loadSettings({ [name]: value })).toThrow(name);
    }
    for (const value of ['', 'false', '0', undefined]) {
      expect(loadSettings({ [name]: value })).toMatchObject({ PORT: 8080 });
    }
  });

  it('takes origins as browsers write them, and no others', () => {
    const origins = 'https://chat.example.com, http://localhost:5173';
    expect(loadSettings({ CORS_ALLOWED_ORIGINS: origins })).toMatchObject({
      CORS_ALLOWED_ORIGINS: ['https://chat.example.com', 'http://localhost:5173'],
    });
    expect(loadSettings({ CORS_ALLOWED_ORIGINS: '*' }).CORS_ALLOWED_ORIGINS).toEqual(['*']);
    for (const wrong of [
      'https://a.example/',
      'https://a.example/x',
      'a.example',
      'null',
      'https://*.example',
      'ftp://a',
    ]) {
      expect(() => loadSettings({ CORS_ALLOWED_ORIGINS: wrong })).toThrow('CORS_ALLOWED_ORIGINS');
    }
    const anybody = { TRUST_TENANT_HEADER: 'on', TRUSTED_PROXIES: '10.0.0.0/8', CORS_ALLOWED_ORIGINS: '*' };
    expect(() => loadSettings(anybody)).toThrow('CORS_ALLOWED_ORIGINS');
  });

  it('is frozen', () => {
    expect(Object.isFrozen(loadSettings({}))).toBe(true);
  });
});
