import { beforeAll, describe, expect, test } from 'vitest';
import { atOnce } from '#app/in-slices.ts';
import { PII_KINDS } from '#app/schemas/guardrails.ts';
import { tenantConfigSchema } from '#app/schemas/tenant-config.ts';
import { compileGuardrails } from '#router/guardrails/compile-guardrails.ts';
import { type Inspection, inspectText } from '#router/guardrails/inspect-text.ts';
import { inspectWith, ValueInspector } from '#router/guardrails/inspect-values.ts';
import { loadGuardrailModels } from '#router/guardrails/load-models.ts';

let inspection: Inspection;
beforeAll(async () => {
  const pii = Object.fromEntries(PII_KINDS.map((kind) => [kind, 'redact']));
  const config = tenantConfigSchema.parse({
    tenant_id: 'acme',
    display_name: 'Acme',
    guardrails: { pii },
  });
  inspection = { rules: compileGuardrails(config), patterns: [], models: await loadGuardrailModels() };
});

const LENGTH = 40_000;
const fill = (unit: string): string => unit.repeat(Math.ceil(LENGTH / unit.length)).slice(0, LENGTH);

describe('a section of a text is inspected in steps', () => {
  test.each([
    ['signs', fill('.'), 80],
    ['characters that NFKC makes three of', fill('…'), 200],
    ['one word of letters with accents', fill('é'), 10],
    ['words that NFKC composes', fill('e\u0301 '), 20],
    ['mail addresses', fill('a@b.co '), 60],
    ['half characters', fill('\ud800'), 40],
    ['JSON', fill('{"a":1},'), 80],
  ])('%s', (_name, text, least) => {
    const work = inspectText(inspection, text, 'user');
    let steps = 0;
    while (work.next().done !== true) steps += 1;
    expect(steps).toBeGreaterThan(least);
  });
});

test('each of ten thousand parts of a content loses what it holds, and nothing else', () => {
  const parts = Array.from({ length: 10_000 }, (_, index) => ({
    type: 'text',
    text: index % 2 === 0 ? ` mail user${index}@example.com ` : ' nothing ',
  }));
  const inspector = new ValueInspector(inspectWith(inspection));
  const guarded = atOnce(inspector.value(parts, 'messages.0.content', 'user'));
  expect(guarded).toEqual(
    parts.map((part, index) =>
      index % 2 === 0 ? { ...part, text: ' mail [REDACTED:email] ' } : { ...part },
    ),
  );
});

test('a finding over several parts is cut out of each of them', () => {
  const parts = ['my mail is ann', '', '@exam', 'ple.com, write'].map((text) => ({ type: 'text', text }));
  const inspector = new ValueInspector(inspectWith(inspection));
  const guarded = atOnce(inspector.value(parts, 'messages.0.content', 'user'));
  expect(JSON.stringify(guarded)).not.toMatch(/ann|exam|ple\.com/);
});

describe('ligatures that NFKC makes many characters of', () => {
  test('are read where they are few', () => {
    const text = `ﷺ ${fill('the mail is ann@example.com ')}`;
    const found = atOnce(inspectText(inspection, text, 'user'));
    expect(found.filter(({ kind }) => kind === 'email').length).toBeGreaterThan(1_000);
  });

  test('refuse a text that is made of them', () => {
    expect(() => atOnce(inspectText(inspection, 'ﷺ'.repeat(33_000), 'user'))).toThrow(/expands/);
  });
});
