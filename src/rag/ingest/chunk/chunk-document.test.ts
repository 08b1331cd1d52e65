import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chunkDocument, chunkDocumentCooperatively } from '#rag/ingest/chunk/chunk-document.ts';
import { type ChunkLimits, DEFAULT_CHUNK_LIMITS } from '#rag/ingest/chunk/chunk-limits.ts';
import type { ParsedBlockKind, ParsedDocument, ParsedPage } from '#rag/ingest/parse/parsed-document.ts';

/** Three ways of counting, none of them a model's: by word, by character, and one that isn't additive. */
const TOKENIZERS = {
  words: (text: string) => text.match(/[\p{L}\p{N}]+|[^\p{L}\p{N}\s]/gu)?.length ?? 0,
  characters: (text: string) => [...text].filter((character) => character.trim() !== '').length,
  lumpy: (text: string) => Math.ceil(text.length / 4) + (text.includes('\n\n') ? 7 : 0),
};

/** `gap` is text before it that belongs to no block. */
type Part = { kind: ParsedBlockKind; text: string; level?: number; gap?: string };

function pageOf(parts: readonly Part[], page: number | null = null): ParsedPage {
  const result: ParsedPage = { page, text: '', headings: [], blocks: [] };
  for (const part of parts) {
    if (result.text !== '') result.text += '\n\n';
    if (part.gap !== undefined) result.text += `${part.gap}\n\n`;
    const start = result.text.length;
    result.text += part.text;
    result.blocks.push({ kind: part.kind, start, end: result.text.length });
    if (part.kind === 'heading')
      result.headings.push({ level: part.level ?? 1, title: part.text, offset: start });
  }
  return result;
}

const documentOf = (...parts: Part[]): ParsedDocument => ({ title: null, pages: [pageOf(parts)] });
const heading = (level: number, text: string): Part => ({ kind: 'heading', level, text });
const paragraph = (sentences: number, words = 10): Part => ({
  kind: 'paragraph',
  text: Array.from({ length: sentences }, () => `${'Word '.repeat(words - 1).trim()}.`).join(' '),
});
const chunk = (document: ParsedDocument) => chunkDocument(document, TOKENIZERS.words);

describe('chunkDocument', () => {
  it('makes one chunk of a small document, under the heading that all of it stands under', () => {
    const chunks = chunk(documentOf(heading(1, 'Guide'), paragraph(3), heading(2, 'Setup'), paragraph(3)));
    expect(chunks).toHaveLength(1);
    expect(chunks[0]).toMatchObject({ ordinal: 0, heading_path: ['Guide'], page: null, start_offset: 0 });
  });

  it('starts a new chunk at each heading with enough text, and carries the headings above it', () => {
    const chunks = chunk(
      documentOf(
        heading(1, 'Guide'),
        paragraph(22),
        heading(2, 'Install'),
        paragraph(25),
        heading(3, 'Linux'),
        paragraph(25),
        heading(2, 'Use'),
        paragraph(25),
      ),
    );
    expect(chunks.map((each) => each.heading_path)).toEqual([
      ['Guide'],
      ['Guide', 'Install'],
      ['Guide', 'Install', 'Linux'],
      ['Guide', 'Use'],
    ]);
    expect(chunks.map((each) => each.text.split('\n')[0])).toEqual(['Guide', 'Install', 'Linux', 'Use']);
  });

  it('merges small sections under the same parent', () => {
    const sections = Array.from({ length: 12 }, (_, index) => [heading(2, `Part ${index}`), paragraph(6)]);
    const chunks = chunk(documentOf(heading(1, 'All'), ...sections.flat()));
    expect(chunks.every((each) => each.heading_path.join() === 'All')).toBe(true);
    expect(chunks.length).toBeLessThan(6);
    expect(chunks.every((each) => each.token_count >= 200 && each.token_count <= 400)).toBe(true);
  });

  it('cuts long prose at sentences only, evenly, without a small rest', () => {
    const chunks = chunk(documentOf(paragraph(41)));
    expect(chunks.every((each) => each.text.endsWith('.') && each.text.startsWith('Word'))).toBe(true);
    expect(chunks.every((each) => each.token_count >= 200)).toBe(true);
  });

  it('packs over rules and definitions between blocks, but not over long text that is no passage', () => {
    const parts = Array.from({ length: 6 }, () => ({ ...paragraph(6), gap: '***' }));
    expect(chunk(documentOf(...parts))).toHaveLength(1);
    const comment = { ...paragraph(6), gap: `<!-- ${'x '.repeat(300)} -->` };
    const chunks = chunk(documentOf(paragraph(6), comment));
    expect(chunks.map((each) => each.text.includes('<!--'))).toEqual([false, false]);
  });

  it('keeps sentences whole across the line breaks of wrapped prose', () => {
    const text = `${'One sentence that is\nwrapped over lines and ends here. '.repeat(60).trim()}`;
    const chunks = chunk(documentOf({ kind: 'paragraph', text }));
    expect(chunks.length).toBeGreaterThan(1);
    expect(chunks.every((each) => each.text.endsWith('here.'))).toBe(true);
  });

  it('never cuts a code block or a table that fits', () => {
    const code: Part = { kind: 'code', text: `\`\`\`js\n${'call(a);\n\n'.repeat(70)}\`\`\`` };
    expect(TOKENIZERS.words(code.text)).toBeGreaterThan(350);
    const chunks = chunk(documentOf(paragraph(9), code, paragraph(9)));
    expect(chunks.filter((each) => each.text.includes(code.text))).toHaveLength(1);
  });

  it('cuts a code block above the limit at blank lines, and keeps indentation', () => {
    const body = '  if (ready) {\n    start(now);\n  }';
    const chunks = chunk(documentOf({ kind: 'code', text: Array(80).fill(body).join('\n\n') }));
    expect(chunks.every((each) => each.text.startsWith('  if') && each.text.endsWith('  }'))).toBe(true);
  });

  it('never leaves a heading alone when prose follows', () => {
    const chunks = chunk(documentOf(heading(1, 'A long title of seven words here'), paragraph(39)));
    expect(chunks[0]?.text).toContain('Word');
  });

  it('continues under the headings of the page before', () => {
    const pages = [
      pageOf([heading(1, 'Report'), heading(2, 'Method'), paragraph(3)], 1),
      pageOf([paragraph(3)], 2),
    ];
    const chunks = chunk({ title: null, pages });
    expect(chunks.map((each) => [each.page, each.heading_path])).toEqual([
      [1, ['Report', 'Method']],
      [2, ['Report', 'Method']],
    ]);
  });

  it('holds the limits for one line of 2 MB, with and without blanks, and tokenizes each part few times', () => {
    for (const text of ['x'.repeat(2_000_000), 'Yes it is. '.repeat(180_000), '漢'.repeat(500_000)]) {
      let tokenized = 0;
      const chunks = chunkDocument(documentOf({ kind: 'paragraph', text }), (part) => {
        tokenized += part.length;
        return Math.ceil(part.length / 3);
      });
      expect(Math.max(...chunks.map((each) => each.token_count))).toBeLessThanOrEqual(400);
      expect(tokenized).toBeLessThan(text.length * 8);
    }
  });

  it('bounds the characters of text that counts as few tokens', () => {
    const chunks = chunkDocument(documentOf({ kind: 'paragraph', text: 'A'.repeat(100_000) }), () => 1);
    expect(Math.max(...chunks.map((each) => each.text.length))).toBeLessThanOrEqual(4_000);
  });

  it('gives the same chunks when it gives way to the event loop, and stops when aborted', async () => {
    const document = documentOf(...Array.from({ length: 400 }, () => paragraph(12)));
    const controller = new AbortController();
    const options = { tenantId: 'acme', signal: controller.signal };
    expect(await chunkDocumentCooperatively(document, TOKENIZERS.words, options)).toEqual(chunk(document));
    const slow = (text: string) => {
      const until = performance.now() + 2;
      while (performance.now() < until);
      return TOKENIZERS.words(text);
    };
    const running = chunkDocumentCooperatively(document, slow, options);
    setTimeout(() => controller.abort(), 20);
    await expect(running).rejects.toMatchObject({ name: 'AbortError' });
  });
});

const word = fc.oneof(
  fc.constantFrom('the', 'tenant', 'e.g.', 'v1.2', '漢字', 'naïve', '👩‍👩‍👧', 'Dr.', '—', 'a-b', '$x;'),
  fc.string({ minLength: 1, maxLength: 12, unit: 'grapheme' }),
  fc.nat({ max: 300 }).map((length) => 'x'.repeat(length + 1)),
);
const line = fc.array(word, { minLength: 1, maxLength: 40 }).map((words) => words.join(' '));
const block = fc.record({
  kind: fc.constantFrom<ParsedBlockKind>('paragraph', 'list', 'code', 'table', 'heading', 'paragraph'),
  level: fc.integer({ min: 1, max: 6 }),
  lines: fc.array(line, { minLength: 1, maxLength: 25 }),
  gap: fc.constantFrom(undefined, undefined, undefined, '***', '[a]: http://b', '<!-- long -->'.repeat(60)),
});
const generatedPage = fc.array(block, { maxLength: 14 }).map((blocks) =>
  blocks.flatMap(({ kind, level, lines, gap }): Part[] => {
    const text = (kind === 'heading' ? (lines[0] ?? '') : lines.join(kind === 'code' ? '\n\n' : '\n')).trim();
    return text === '' ? [] : [{ kind, level, text, ...(gap === undefined ? {} : { gap }) }];
  }),
);
const generatedDocument = fc.array(generatedPage, { minLength: 1, maxLength: 3 }).map(
  (pages): ParsedDocument => ({
    title: null,
    pages: pages.map((parts, index) => pageOf(parts, index + 1)),
  }),
);

describe('every generated document', () => {
  const limits: ChunkLimits[] = [
    DEFAULT_CHUNK_LIMITS,
    { minTokens: 20, targetTokens: 30, maxTokens: 40, maxCharacters: 400 },
  ];

  it.each(Object.entries(TOKENIZERS))('keeps the rules of a chunk when counted by %s', (_name, count) => {
    fc.assert(
      fc.property(generatedDocument, fc.constantFrom(...limits), (document, limit) => {
        const chunks = chunkDocument(document, count, limit);
        expect(chunks.map((each) => each.ordinal)).toEqual(chunks.map((_, index) => index));
        for (const page of document.pages) {
          const covered = new Uint8Array(page.text.length);
          let lastEnd = 0;
          for (const each of chunks.filter((one) => one.page === page.page)) {
            expect(each.text).toBe(page.text.slice(each.start_offset, each.end_offset));
            expect(each.start_offset).toBeGreaterThanOrEqual(lastEnd);
            expect(each.token_count).toBe(count(each.text));
            if (each.text.length > 2) {
              expect(each.token_count).toBeLessThanOrEqual(limit.maxTokens);
              expect(each.text.length).toBeLessThanOrEqual(limit.maxCharacters);
            }
            expect(each.text.isWellFormed()).toBe(true);
            covered.fill(1, each.start_offset, each.end_offset);
            lastEnd = each.end_offset;
          }
          for (const { start, end } of page.blocks) {
            for (let at = start; at < end; at++) {
              if (covered[at] === 1 || count(page.text.charAt(at)) === 0) continue;
              expect(page.text.charAt(at).trim(), `offset ${at} of ${JSON.stringify(page.text)}`).toBe('');
            }
          }
        }
      }),
      { numRuns: 150 },
    );
  });

  it('keeps every code block and table that fits in one chunk', () => {
    fc.assert(
      fc.property(generatedDocument, (document) => {
        const chunks = chunkDocument(document, TOKENIZERS.words);
        for (const page of document.pages) {
          for (const each of page.blocks.filter(({ kind }) => kind === 'code' || kind === 'table')) {
            const text = page.text.slice(each.start, each.end);
            const tokens = TOKENIZERS.words(text);
            if (tokens === 0 || tokens > 400 || text.length > 4_000) continue;
            expect(
              chunks.some(
                (one) =>
                  one.page === page.page && one.start_offset <= each.start && one.end_offset >= each.end,
              ),
            ).toBe(true);
          }
        }
      }),
      { numRuns: 150 },
    );
  });

  it('leaves no small chunk that its neighbour under the same headings has room for', () => {
    fc.assert(
      fc.property(generatedDocument, (document) => {
        const chunks = chunkDocument(document, TOKENIZERS.words);
        for (const [index, each] of chunks.entries()) {
          const next = chunks[index + 1];
          if (next === undefined || next.page !== each.page) continue;
          if (each.heading_path.join('\0') !== next.heading_path.join('\0')) continue;
          const small = each.token_count < 200 && next.token_count < 200;
          const gap = document.pages[(each.page ?? 1) - 1]?.text.slice(each.end_offset, next.start_offset);
          if (gap?.trim() !== '') continue;
          const together = next.end_offset - each.start_offset;
          expect(small && each.token_count + next.token_count <= 300 && together <= 4_000).toBe(false);
        }
      }),
      { numRuns: 150 },
    );
  });
});
