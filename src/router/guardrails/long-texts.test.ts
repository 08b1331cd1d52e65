import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { tenantConfigSchema } from '#app/schemas/tenant-config.ts';
import { compileGuardrails } from '#router/guardrails/compile-guardrails.ts';
import { inspectText } from '#router/guardrails/inspect-text.ts';
import { loadGuardrailModels } from '#router/guardrails/load-models.ts';
import { ATTACK } from '#test/support/guarded-router.ts';
import { type LongDocument, unseenReadmes } from '#test/support/unseen-documents.ts';

const ROOT = join(import.meta.dirname, '../../..');

/** Whether the default policy refuses the text as an injection, in a message of a user. */
let refuses: (text: string) => boolean;
let readmes: LongDocument[];
beforeAll(async () => {
  const config = tenantConfigSchema.parse({ tenant_id: 'acme', display_name: 'Acme' });
  const inspection = { rules: compileGuardrails(config), patterns: [], models: await loadGuardrailModels() };
  refuses = (text) => {
    const work = inspectText(inspection, text, 'user');
    for (let next = work.next(); ; next = work.next()) {
      if (next.done === true) return next.value.some(({ detector }) => detector === 'prompt_injection');
    }
  };
  readmes = await unseenReadmes();
});

async function filesBelow(folder: string, pattern: RegExp): Promise<LongDocument[]> {
  const names = (await readdir(join(ROOT, folder), { recursive: true })).filter((name) => pattern.test(name));
  return Promise.all(
    names.map(async (name) => ({ name, text: await readFile(join(ROOT, folder, name), 'utf8') })),
  );
}

const refused = (documents: readonly LongDocument[]) =>
  documents.filter(({ text }) => refuses(text)).map(({ name }) => name);

describe('ordinary long texts pass', () => {
  test('README files that nothing was trained on: all but one in a hundred', () => {
    expect(readmes.length).toBeGreaterThan(50);
    expect(refused(readmes).length).toBeLessThanOrEqual(Math.ceil(readmes.length / 100));
  });

  test('asked about, they are no attacks either', () => {
    const asked = readmes.map(({ name, text }) => ({
      name,
      text: `Summarise this README for somebody who has never used it:\n\n${text}`,
    }));
    expect(refused(asked).length).toBeLessThanOrEqual(Math.ceil(asked.length / 100));
  });

  test('the source code of this project', async () => {
    // What tells attacks is full of them.
    const sources = (await filesBelow('src', /(?<!\.test)\.ts$/)).filter(
      ({ name, text }) => text.length > 2_000 && !name.startsWith('router/guardrails/'),
    );
    expect(sources.length).toBeGreaterThan(200);
    expect(refused(sources).length).toBeLessThanOrEqual(Math.ceil(sources.length / 100));
  });

  test('its documents', async () => {
    const documents = (await filesBelow('docs', /\.md$/)).filter(({ name }) => name !== 'guardrails.md');
    expect(documents.length).toBeGreaterThan(10);
    expect(refused(documents)).toEqual([]);
  });
});

describe('length excuses no attack', () => {
  // Where the order is cut in two by the passages that a text is scored in, a few are missed.
  test.each([0, 0.3, 0.7, 1])('at %d of every README', (share) => {
    const missed = readmes.filter(({ text }) => {
      const at = text.indexOf('\n', Math.floor(share * text.length));
      const cut = at < 0 ? text.length : at;
      return !refuses(`${text.slice(0, cut)}\n${ATTACK}\n${text.slice(cut)}`);
    });
    expect(missed.length).toBeLessThanOrEqual(Math.ceil(readmes.length / 100));
  });
});
