import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { ERROR_CATALOGUE } from '#app/errors/catalogue.ts';
import { settingsSchema } from '#app/settings/settings.ts';
import { renderSettingsDoc } from '../scripts/write-settings-doc.ts';

const read = (path: string): string =>
  readFileSync(fileURLToPath(new URL(`../${path}`, import.meta.url)), 'utf8');

describe('docs/settings.md', () => {
  it('is what `node scripts/write-settings-doc.ts` writes', () => {
    expect(read('docs/settings.md')).toBe(renderSettingsDoc());
  });
});

describe('.env.example', () => {
  it('names settings that exist', () => {
    const known = [...Object.keys(settingsSchema.shape), 'BULKHEAD_URL', 'BULKHEAD_API_KEY'];
    const named = [...read('.env.example').matchAll(/^#? ?([A-Z][A-Z0-9_]+)=/gm)].map((match) => match[1]);
    expect(named.length).toBeGreaterThan(5);
    expect(named.filter((name) => name === undefined || !known.includes(name))).toEqual([]);
  });
});

describe('docs/errors.md', () => {
  const rows = read('docs/errors.md')
    .split('\n')
    .filter((line) => /^\| `[a-z_]+` \|/.test(line))
    .map((line) => line.split('|').map((cell) => cell.trim()));

  it('has every code of the catalogue once, as the catalogue says, in its order', () => {
    const documented = rows.map(([, code, status, type, retry]) => ({ code, status, type, retry }));
    expect(documented).toEqual(
      Object.entries(ERROR_CATALOGUE).map(([code, { status, type, retryable }]) => ({
        code: `\`${code}\``,
        status: String(status),
        type: `\`${type}\``,
        retry: retryable ? 'yes' : 'no',
      })),
    );
  });

  it('says of each what it means and what to do', () => {
    for (const [, , , , , meaning, advice] of rows) {
      expect(meaning).toMatch(/^[A-Z`].+\.$/);
      expect(advice).toMatch(/^[A-Z`].+\.$/);
    }
  });
});

describe('docs/api.md', () => {
  const text = read('docs/api.md');
  const routes = readdirSync(new URL('../src/router/routes', import.meta.url), { recursive: true })
    .map(String)
    .filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts'))
    .map((path) => read(`src/router/routes/${path}`))
    .filter((source) => !source.includes('hide: true'))
    .flatMap((source) => /url: '(\/(?:v1|admin)[^']*)'/.exec(source)?.[1] ?? []);

  it.each(routes)('names %s', (route) => {
    const documented = route.replace(/:[a-z_]+/g, '{*}').replace('/*', '');
    expect(text.replace(/\{[a-z]+\}/g, '{*}')).toContain(documented);
  });

  it('finds the routes at all', () => expect(routes.length).toBeGreaterThan(15));
});
