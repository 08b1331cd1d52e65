import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as conventions from '@opentelemetry/semantic-conventions/incubating';
import { describe, expect, it } from 'vitest';

/** The names that OpenTelemetry publishes, stable and experimental ones, as data of its package (1.45.0). */
const published = new Set<string>(Object.values(conventions).filter((value) => typeof value === 'string'));

const SOURCE = fileURLToPath(new URL('../..', import.meta.url));
/** Text in quotes with the form of an attribute’s name, in namespaces that belong to the conventions or to us. */
const NAME =
  /'((?:http|url|server|client|network|error|gen_ai|db|service|deployment|user_agent|bulkhead)\.[a-z][a-z0-9_.]*)'/g;

const used = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts'))
  .map((path) => ({ path, text: readFileSync(`${SOURCE}/${path}`, 'utf8') }))
  .filter(({ text }) => text.includes('#app/trace.ts') || text.includes('@opentelemetry/'))
  .flatMap(({ path, text }) => [...text.matchAll(NAME)].map((match) => ({ path, name: match[1] ?? '' })));

describe('names of attributes', () => {
  it('are found', () => expect(new Set(used.map(({ name }) => name)).size).toBeGreaterThan(15));

  it('are published by the conventions, or our own', () => {
    const unknown = used.filter(({ name }) => !published.has(name) && !name.startsWith('bulkhead.'));
    expect(unknown).toEqual([]);
  });
});
