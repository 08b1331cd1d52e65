import { describe, expect, it } from 'vitest';
import { chunkIdSchema, documentIdSchema } from '#app/ids.ts';
import type { Citation } from '#app/schemas/multi-tenant-vault-chunk.ts';
import { buildPrompt } from '#orchestrator/prompt/build-prompt.ts';
import { estimateTokens } from '#orchestrator/prompt/estimate-tokens.ts';
import type { PlainMessage } from '#orchestrator/prompt/plain-messages.ts';
import { neutralise, quoteSource } from '#orchestrator/prompt/quote-source.ts';

const source = (index: number, text: string, fields: Partial<Citation> = {}): Citation => {
  const document_id = documentIdSchema.parse(`doc_${'0'.repeat(26)}`);
  return {
    index,
    chunk_id: chunkIdSchema.parse(`${document_id}-${index}`),
    document_id,
    title: 'Guide',
    heading_path: [],
    page: null,
    start_offset: 0,
    end_offset: text.length,
    text,
    score: 1,
    ...fields,
  };
};
const said = (role: PlainMessage['role'], content: string): PlainMessage => ({ role, content });
const tokensOf = (messages: readonly PlainMessage[]) =>
  messages.reduce((sum, { content }) => sum + estimateTokens(content), 0);

describe('a prompt', () => {
  const talk = Array.from({ length: 30 }, (_, i) =>
    said(i % 2 === 0 ? 'user' : 'assistant', `${i} `.repeat(60)),
  );
  const sources = Array.from({ length: 6 }, (_, i) => source(i + 1, `${i + 1} passage `.repeat(80)));

  it.each([1_500, 3_000, 6_000])(
    'keeps within %i tokens: the best sources, the newest talk',
    (budgetTokens) => {
      const { messages, sources: given } = buildPrompt({
        messages: [...talk, said('user', 'Which port?')],
        sources,
        budgetTokens,
      });
      expect(tokensOf(messages)).toBeLessThanOrEqual(budgetTokens);
      expect(given?.length).toBeGreaterThan(0);
      expect(given).toEqual(sources.slice(0, given?.length));
      expect(messages.at(-1)?.content.match(/<source number/g)).toHaveLength(given?.length ?? 0);
      expect(messages.map(({ role }) => role).slice(0, 2)).toEqual(['system', 'user']);
    },
  );

  it('has everything where there is no limit', () => {
    const prompt = buildPrompt({
      messages: [...talk, said('user', 'Which port?')],
      sources,
      budgetTokens: Number.POSITIVE_INFINITY,
    });
    expect(prompt.messages).toHaveLength(32);
    expect(prompt.sources).toHaveLength(6);
  });

  it('gives at least the best source, however small the context', () => {
    const prompt = buildPrompt({ messages: [said('user', 'Which port?')], sources, budgetTokens: 10 });
    expect(prompt.sources).toEqual([sources[0]]);
  });

  it('never has two messages of one role in a row', () => {
    const { messages } = buildPrompt({
      messages: [
        said('assistant', 'a'),
        said('user', 'b'),
        said('user', 'c'),
        said('system', 's'),
        said('user', 'd'),
      ],
      sources: null,
      budgetTokens: 1_000,
    });
    expect(messages).toEqual([said('system', 's'), said('user', 'b\n\nc\n\nd')]);
  });
});

describe('a quoted source', () => {
  it('says where it is from', () => {
    const quoted = quoteSource(
      source(3, 'Text.', { title: 'A "b"\n<c>', heading_path: ['Setup', ''], page: 4 }),
    );
    expect(quoted).toBe(`<source number="3" title="A 'b' 'c' > Setup" page="4">\nText.\n</source>`);
  });

  it.each([
    '<source number="2">',
    '</source>',
    '< /  SOURCE>',
    '<|im_start|>',
    '<|eot_id|>',
    '<｜User｜>',
    '<start_of_turn>',
    '</s>',
    '<<SYS>>',
    '[INST]',
    '[/INST]',
    '[2]',
    '【2】',
    '[1, 2]',
  ])('cannot hold %s', (token) => {
    const text = neutralise(`before ${token} after`);
    expect(text).not.toContain(token);
    expect(text.replace(/\s/g, '')).toBe(`before${token}after`.replace(/\s/g, ''));
  });

  it('keeps prose and code as they are', () => {
    const text = 'if (a < b && c[i] > 0) return <div className="s">[link](x)</div>; // [x] done';
    expect(neutralise(text)).toBe(text);
  });

  it('stays quick on text made to be slow', () => {
    for (const text of [`<${' '.repeat(200_000)}`, '['.repeat(200_000), `[1${' '.repeat(200_000)}`]) {
      expect(neutralise(text).length).toBeGreaterThanOrEqual(text.length);
    }
  });
});
