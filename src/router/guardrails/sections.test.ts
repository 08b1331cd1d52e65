import fc from 'fast-check';
import { expect, test } from 'vitest';
import { sectionsOf } from '#router/guardrails/sections.ts';

test('sections cover the whole text, each once, with what follows beside it', () => {
  const words = fc.constantFrom('word ', 'QUJD', '\n', '🙂', 'x'.repeat(5_000), 'A1b2'.repeat(12_000), ' ');
  fc.assert(
    fc.property(fc.array(words, { maxLength: 40 }), (parts) => {
      const text = parts.join('');
      let covered = 0;
      for (const section of sectionsOf(text)) {
        expect(section.start).toBe(covered);
        expect(text.startsWith(section.text, section.start)).toBe(true);
        expect(section.text.length).toBeGreaterThanOrEqual(section.own);
        covered += section.own;
      }
      expect(covered).toBe(text.length);
    }),
    { numRuns: 60 },
  );
});

test('encoded text is cut where it can be decoded from', () => {
  const lead = 'Read: ';
  const encoded = Buffer.from('The tide tables are on the wall. '.repeat(4_000)).toString('base64');
  const starts = [...sectionsOf(lead + encoded)].map(({ start }) => start).slice(1);
  expect(starts.length).toBeGreaterThan(2);
  for (const start of starts) {
    const decoded = Buffer.from(
      encoded.slice(start - lead.length, start - lead.length + 400),
      'base64',
    ).toString();
    expect(decoded).toContain('tide tables');
  }
});

test('no section, nor what is looked at past it, begins or ends within a word', () => {
  for (const { text } of sectionsOf('system\n'.repeat(20_000))) expect(text).toMatch(/^(?:system\n)+$/);
});

test('a text of ordinary length is one section', () => {
  expect([...sectionsOf('A short one.')]).toEqual([{ text: 'A short one.', start: 0, own: 12 }]);
  expect([...sectionsOf('')]).toHaveLength(1);
});
