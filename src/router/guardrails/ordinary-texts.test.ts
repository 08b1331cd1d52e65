import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { DEFAULT_PII_KINDS, type PiiKind } from '#app/schemas/guardrails.ts';
import { tenantConfigSchema } from '#app/schemas/tenant-config.ts';
import { inspectText } from '#router/guardrails/inspect-text.ts';
import { loadGuardrailModels } from '#router/guardrails/load-models.ts';
import { compilePolicy } from '#router/policy/compile-policy.ts';

const models = await loadGuardrailModels();
const policy = compilePolicy(
  tenantConfigSchema.parse({ tenant_id: 'acme', display_name: 'Acme', pii: 'redact' }),
  1,
);
const ROOT = join(import.meta.dirname, '..', '..', '..');
/** As much of a file as is read. */
const LENGTH = 20_000;

function findingsIn(text: string): { kind: string; found: string }[] {
  const work = inspectText({ rules: policy.guardrails, patterns: [], models }, text, 'user');
  let step = work.next();
  while (step.done !== true) step = work.next();
  return step.value
    .filter(({ detector }) => detector === 'pii')
    .map(({ kind, start, end }) => ({ kind, found: text.slice(start, end) }));
}

/** Findings of each kind in 1,000 words. */
function ratesOf(texts: readonly string[]): Record<string, number> {
  const words = texts.reduce((sum, text) => sum + text.split(/\s+/).length, 0);
  const found = texts.flatMap(findingsIn);
  return Object.fromEntries(
    DEFAULT_PII_KINDS.map((kind) => [
      kind,
      (1_000 * found.filter((finding) => finding.kind === kind).length) / words,
    ]),
  );
}

const dependencies = (): string[] => {
  const { dependencies: names }: { dependencies: Record<string, string> } = JSON.parse(
    readFileSync(join(ROOT, 'package.json'), 'utf8'),
  );
  return Object.keys(names).sort();
};

const read = (path: string): string => readFileSync(path, 'utf8').slice(0, LENGTH);
const filesOf = (directory: string, ends: string): string[] =>
  readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ends) && !name.includes('node_modules'))
    .sort()
    .map((name) => join(directory, name));

/**
 * What redaction may do to texts that hold next to no personal data: findings in 1,000 words, by kind. Those that remain are mostly right:
 * authors in notes of thanks, addresses in examples.
 */
const CORPORA: readonly (readonly [string, () => string[], Partial<Record<PiiKind, number>>])[] = [
  [
    'notes of the packages that this one depends on',
    () =>
      dependencies().flatMap((name) =>
        readdirSync(join(ROOT, 'node_modules', name))
          .filter((file) => /^(?:readme|changelog|history)\.md$/i.test(file))
          .map((file) => read(join(ROOT, 'node_modules', name, file))),
      ),
    { person: 3, address: 0.3, ip_address: 1.5, email: 1, phone: 0.1 },
  ],
  [
    'source code',
    () =>
      filesOf(join(ROOT, 'src/app'), '.ts')
        .filter((path) => !path.endsWith('.test.ts'))
        .map(read),
    { person: 2.5, address: 0.3, ip_address: 0.5, email: 0.2 },
  ],
  [
    'documents',
    () => filesOf(join(ROOT, 'docs'), '.md').map(read),
    {
      // Examples may have some of each.
      person: 4,
      address: 0.6,
      ip_address: 0.5,
      email: 0.5,
      phone: 0.2,
      card_number: 0.2,
      iban: 0.2,
      ssn: 0.2,
      license: 0.2,
      date_of_birth: 0.2,
    },
  ],
];

describe('ordinary texts', () => {
  test.each(CORPORA)(
    '%s',
    (_name, texts, limits) => {
      const all = texts();
      expect(all.length).toBeGreaterThan(5);
      const rates = ratesOf(all);
      for (const kind of DEFAULT_PII_KINDS)
        expect(rates[kind], kind).toBeLessThanOrEqual(limits[kind] ?? 0.05);
    },
    60_000,
  );

  test.each([
    '2024-11-23T10:15:30.123Z INFO [request-handler] GET /v1/items 200 in 12ms id=550e8400-e29b-41d4-a716-446655440000',
    '10:15:30.123 WARN cache.ts:118 Cache miss for key user:session:8f14e45fceea167a5a36dedd4bea2543, retrying in 250 ms',
    '{"level":"error","time":1732356930123,"msg":"Query failed","code":"ECONNRESET","attempt":3,"durationMs":1042.55}',
    'id,created,status,total\n48213,2024-11-23 10:15:30,open,129.90\n48214,2024-11-23 10:16:02,paid,49.00',
    'sku;product;qty;price\nAB-1022;Blue Ceramic Bowl;2;12.50\nAB-1023;Espresso Beans;1;9.99',
    'Order 4155550132 of 2 x ThinkPad X1 for $1,299.00 ships on 2024-11-25, tracking 1Z999AA10123456784.',
    'Upgrade lodash from 4.17.20 to 4.17.21, webpack to ^5.99.9 and the driver to 10.0.19045.3803.',
    'commit 9fceb02d0ae598e95dc970b74767f19372d61af8\ntree d8329fc1cc938780ffdd9f94e0d364e0ea74f579',
    '"integrity": "sha512-YzVGTHXf4bzlyAL5KAvHYCdNbbt6zM5d41OP2SD7w7ZNXXuLPAQHJ1GxBT6BU8ACztWnv++hSkMEsLV7MZqTw=="',
    'const total = items.reduce((sum, item) => sum + item.price * item.quantity, 0);\nreturn total > 1000000 ? null : total;',
    'import { readFile } from "node:fs/promises";\nexport type Handler = (request: Request) => Promise<Response>;',
    'def parse_rows(self, path: str, limit=2048):\n    return [Row(line) for line in open(path)][:limit]',
    'Will the May release mark a change? May I bill you in March? Hope it helps.',
    'Use the Settings page. Choose Export. Press Save. Then Restart the Server and Check the Logs.',
    'Getting Started. Installation. Usage. Options. Examples. Contributing. Changelog.',
    'Die Rechnung ist noch offen. Bitte prüfen Sie den Vertrag, die Lieferung und das Gerät vor der Bestellung.',
    'Der Benutzer öffnet die Anwendung, wählt die Einstellung und speichert das Ergebnis in der Datenbank.',
    'Für den Teig das Mehl mit dem Zucker und der Butter in eine Schüssel geben und verrühren.',
    'The quick brown fox jumps over the lazy dog 12 times in 34.5 seconds, or 0.352 jumps per second.',
    'SELECT name, total FROM orders WHERE created > 1732356930 ORDER BY total DESC LIMIT 100;',
    'Docker and Kubernetes run on Linux; Postgres 16 and Redis 7 are supported, SQLite is not.',
    'The Galaxy S24 costs 849 euros, the Pixel 8 only 599. Both have 128 GB and USB-C.',
  ])('nothing is redacted in: %s', (text) => {
    expect(findingsIn(text)).toEqual([]);
  });
});
