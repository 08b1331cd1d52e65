import OpenAI from 'openai';
import { beforeAll, describe, expect, it } from 'vitest';
import { FACTS, NOT_IN_DOCUMENTS, type SeededPlatform } from '../../support/seeded-platform.ts';

/** Responses, completions and embeddings, by the official client. Chat is in `openai-client.ts`. */
export function describeOpenAISurface(seeded: () => SeededPlatform): void {
  describe('the official openai client, beyond chat', () => {
    let client: OpenAI;
    let carol: OpenAI;
    beforeAll(() => {
      const { platform, keys } = seeded();
      client = new OpenAI({ baseURL: `${platform.url}/v1`, apiKey: keys.alice, maxRetries: 0 });
      carol = client.withOptions({ apiKey: keys.carol });
    });
    const asked = { model: 'bulkhead-rag', input: FACTS.alice.question };

    it('gets a response, with the documents as annotations', async () => {
      const response = await client.responses.create(asked);
      expect(response.output_text).toContain('42 bar');
      expect(response).toMatchObject({ object: 'response', status: 'completed', error: null, store: true });
      const [message] = response.output;
      if (message?.type !== 'message') throw new Error('The output is no message.');
      const [part] = message.content;
      if (part?.type !== 'output_text') throw new Error('The content is no text.');
      expect(part.annotations.length).toBeGreaterThan(0);
      for (const annotation of part.annotations) {
        if (annotation.type !== 'file_citation') throw new Error('An annotation cites no file.');
        expect(annotation.file_id).toBe(seeded().documents.alice);
        expect(part.text.slice(annotation.index)).toMatch(/^\[\d/);
      }
      const { input_tokens, output_tokens, total_tokens } = response.usage ?? {};
      expect(output_tokens).toBeGreaterThan(0);
      expect(total_tokens).toBe((input_tokens ?? 0) + (output_tokens ?? 0));
    });

    it('streams a response in the order that the API documents', async () => {
      const whole = await client.responses.create(asked);
      const stream = client.responses.stream(asked);
      const types: string[] = [];
      const numbers: number[] = [];
      stream.on('event', (event) => {
        if (types.at(-1) !== event.type) types.push(event.type);
        numbers.push(event.sequence_number);
      });
      const final = await stream.finalResponse();
      expect(final.output_text).toBe(whole.output_text);
      expect(final.usage).toEqual(whole.usage);
      expect(numbers).toEqual(numbers.map((_, place) => place));
      expect(types).toEqual([
        'response.created',
        'response.in_progress',
        'response.output_item.added',
        'response.content_part.added',
        'response.output_text.delta',
        'response.output_text.annotation.added',
        'response.output_text.done',
        'response.content_part.done',
        'response.output_item.done',
        'response.completed',
      ]);
    });

    it('goes on with what a response gave, sent back as input', async () => {
      const first = await client.responses.create(asked);
      const { output_text } = await client.responses.create({
        ...asked,
        instructions: 'Be brief.',
        input: [
          { role: 'user', content: 'Hello' },
          ...first.output.filter((item) => item.type === 'message'),
          { role: 'user', content: FACTS.acme.question },
        ],
      });
      expect(output_text).toContain(FACTS.acme.word);
    });

    it('completes a prompt, whole and streamed', async () => {
      const request = { model: 'bulkhead-rag', prompt: FACTS.alice.question };
      const whole = await client.completions.create(request);
      expect(whole.choices[0]?.text).toContain('42 bar');
      let text = '';
      let usage: OpenAI.CompletionUsage | undefined;
      const stream = await client.completions.create({
        ...request,
        stream: true,
        stream_options: { include_usage: true },
      });
      for await (const chunk of stream) {
        text += chunk.choices[0]?.text ?? '';
        usage = chunk.usage ?? usage;
      }
      expect(text).toBe(whole.choices[0]?.text);
      expect(usage).toEqual(whole.usage);
    });

    it('embeds: the client’s own base64, floats, and tokens of the same text are one vector', async () => {
      const request = { model: 'bulkhead-embed', input: ['Hello, world!', FACTS.alice.sentence] };
      const encoded = await client.embeddings.create(request);
      const floats = await client.embeddings.create({ ...request, encoding_format: 'float' });
      const tokens = await client.embeddings.create({ ...request, input: [[9906, 11, 1917, 0]] });
      expect(encoded.data.map(({ index }) => index)).toEqual([0, 1]);
      const [hello, fact] = encoded.data.map(({ embedding }) => embedding);
      expect(hello).toHaveLength(384);
      expect(Math.hypot(...(fact ?? []))).toBeCloseTo(1, 5);
      expect(Float32Array.from(floats.data[0]?.embedding ?? [])).toEqual(Float32Array.from(hello ?? []));
      expect(cosine(tokens.data[0]?.embedding ?? [], hello ?? [])).toBeCloseTo(1, 4);
      expect(encoded.usage.total_tokens).toBeGreaterThan(10);
    });

    it('embeds more texts than go into one call, in their order', async () => {
      const input = Array.from({ length: 150 }, (_, place) => `Shelf ${place % 3}`);
      const { data } = await client.embeddings.create({ model: 'bulkhead-embed', input });
      expect(data.map(({ index }) => index)).toEqual(input.map((_, place) => place));
      expect(cosine(data[0]?.embedding ?? [], data[147]?.embedding ?? [])).toBeCloseTo(1, 3);
      expect(cosine(data[0]?.embedding ?? [], data[148]?.embedding ?? [])).toBeLessThan(0.999);
    });

    it.each([
      ['dimensions', { input: 'x', dimensions: 256 }, 'invalid_request'],
      ['input.1', { input: ['a', 'word '.repeat(9_000)] }, 'context_length_exceeded'],
      ['input.1', { input: ['a', ' '] }, 'invalid_request'],
    ])('is told which field of an embedding is at fault: %s', async (param, request, code) => {
      const failure = await failureOf(client.embeddings.create({ model: 'bulkhead-embed', ...request }));
      expect(failure).toBeInstanceOf(OpenAI.BadRequestError);
      expect(failure).toMatchObject({ param, code });
    });

    it('finds no embedding model by the name of a chat model, and no chat by that of the embedding model', async () => {
      for (const model of ['bulkhead-rag', 'text-embedding-3-small']) {
        const failure = await failureOf(client.embeddings.create({ model, input: 'x' }));
        expect(failure).toMatchObject({ status: 404, code: 'model_not_found', param: 'model' });
      }
      const failure = await failureOf(client.responses.create({ model: 'bulkhead-embed', input: 'x' }));
      expect(failure).toMatchObject({ status: 404, code: 'model_not_found', param: 'model' });
    });

    it('gives another tenant nothing of these answers, however it asks', async () => {
      const response = await carol.responses.create(asked);
      expect(response.output_text).toBe(NOT_IN_DOCUMENTS);
      const streamed = await carol.responses.stream(asked).finalResponse();
      expect(streamed.output_text).toBe(NOT_IN_DOCUMENTS);
      const completion = await carol.completions.create({ model: asked.model, prompt: asked.input });
      expect(completion.choices[0]?.text).toBe(NOT_IN_DOCUMENTS);
      expect(JSON.stringify([response, streamed, completion])).not.toContain(FACTS.alice.word);
    });

    it('leaves a response that it no longer wants', async () => {
      const stream = await client.responses.create({ ...asked, stream: true });
      for await (const _event of stream) break;
      expect(stream.controller.signal.aborted).toBe(true);
      expect((await client.responses.create(asked)).output_text).toContain('42 bar');
    });
  });
}

function cosine(left: readonly number[], right: readonly number[]): number {
  return left.reduce((sum, value, place) => sum + value * (right[place] ?? 0), 0);
}

async function failureOf(work: Promise<unknown>): Promise<unknown> {
  try {
    await work;
  } catch (error) {
    return error;
  }
  throw new Error('It did not fail.');
}
