import OpenAI from 'openai';
import { beforeAll, describe, expect, it } from 'vitest';
import { FACTS, NOT_IN_DOCUMENTS, type SeededPlatform } from '../../support/seeded-platform.ts';

/** Conversations over several responses, by the official client and its defaults: it keeps them. */
export function describeKeptResponses(seeded: () => SeededPlatform): void {
  describe('responses that are kept, by the official openai client', () => {
    let client: OpenAI;
    let carol: OpenAI;
    beforeAll(() => {
      const { platform, keys } = seeded();
      client = new OpenAI({ baseURL: `${platform.url}/v1`, apiKey: keys.alice, maxRetries: 0 });
      carol = client.withOptions({ apiKey: keys.carol });
    });
    const model = 'bulkhead-rag';
    const asked = { model, input: FACTS.alice.question };

    it('are gone on from by their ids, whole and streamed', async () => {
      const first = await client.responses.create(asked);
      expect(first.output_text).toContain('42 bar');
      const second = await client.responses.create({
        model,
        input: FACTS.acme.question,
        previous_response_id: first.id,
      });
      expect(second.output_text).toContain(FACTS.acme.word);
      expect(second.previous_response_id).toBe(first.id);
      const stream = client.responses.stream({ ...asked, previous_response_id: second.id });
      const third = await stream.finalResponse();
      expect(third.output_text).toBe(first.output_text);
      expect(await client.responses.retrieve(third.id)).toMatchObject({
        id: third.id,
        output: [{ id: third.output[0]?.id, content: [{ text: third.output_text }] }],
        output_text: third.output_text,
        usage: third.usage,
        previous_response_id: second.id,
      });
    });

    it('are gone on from by references to their items, as the AI SDK does', async () => {
      const first = await client.responses.create(asked);
      const { output_text } = await client.responses.create({
        model,
        input: [
          { role: 'user', content: [{ type: 'input_text', text: asked.input }] },
          ...first.output.flatMap(({ id }) => (id ? [{ type: 'item_reference' as const, id }] : [])),
          { role: 'user', content: [{ type: 'input_text', text: FACTS.acme.question }] },
        ],
      });
      expect(output_text).toContain(FACTS.acme.word);
    });

    it('list what they were asked with, page by page', async () => {
      const words = ['one', 'two', 'three', 'four', 'five'];
      const { id } = await client.responses.create({
        model,
        instructions: 'Be brief.',
        input: words.map((content) => ({ role: 'user', content })),
      });
      for (const order of ['asc', 'desc'] as const) {
        const listed: string[] = [];
        for await (const item of client.responses.inputItems.list(id, { order, limit: 2 })) {
          if (item.type !== 'message') throw new Error('An item is no message.');
          for (const part of item.content) if (part.type === 'input_text') listed.push(part.text);
        }
        expect(listed).toEqual(order === 'asc' ? words : words.toReversed());
      }
    });

    it('are deleted, and then are not there', async () => {
      const { id } = await client.responses.create(asked);
      await client.responses.delete(id);
      for (const ask of [
        () => client.responses.retrieve(id),
        () => client.responses.delete(id),
        () => client.responses.inputItems.list(id),
        () => client.responses.cancel(id),
        () => client.responses.retrieve('resp_1'),
      ]) {
        expect(await failureOf(ask())).toBeInstanceOf(OpenAI.NotFoundError);
      }
      const failure = await failureOf(client.responses.create({ ...asked, previous_response_id: id }));
      expect(failure).toBeInstanceOf(OpenAI.BadRequestError);
      expect(failure).toMatchObject({ param: 'previous_response_id', code: 'previous_response_not_found' });
    });

    it('are not there where the client says so', async () => {
      const { id, output } = await client.responses.create({ ...asked, store: false });
      expect(await failureOf(client.responses.retrieve(id))).toBeInstanceOf(OpenAI.NotFoundError);
      const failure = await failureOf(
        client.responses.create({ model, input: [{ type: 'item_reference', id: output[0]?.id ?? '' }] }),
      );
      expect(failure).toBeInstanceOf(OpenAI.NotFoundError);
      expect(failure).toMatchObject({ param: 'input.0' });
    });

    it('are not run in the background, and not streamed again', async () => {
      const { id } = await client.responses.create(asked);
      expect(await failureOf(client.responses.cancel(id))).toBeInstanceOf(OpenAI.BadRequestError);
      const again = client.responses.retrieve(id, { stream: true });
      expect(await failureOf(again)).toMatchObject({ status: 400, param: 'stream' });
    });

    it('are nobody else’s', async () => {
      const { id, output } = await client.responses.create(asked);
      for (const ask of [
        () => carol.responses.retrieve(id),
        () => carol.responses.delete(id),
        () => carol.responses.inputItems.list(id),
        () => carol.responses.create({ model, input: [{ type: 'item_reference', id: output[0]?.id ?? '' }] }),
      ]) {
        expect(await failureOf(ask())).toBeInstanceOf(OpenAI.NotFoundError);
      }
      const failure = await failureOf(carol.responses.create({ ...asked, previous_response_id: id }));
      expect(failure).toMatchObject({ status: 400, code: 'previous_response_not_found' });
      expect((await carol.responses.create(asked)).output_text).toBe(NOT_IN_DOCUMENTS);
      expect((await client.responses.retrieve(id)).output_text).toContain('42 bar');
    });
  });
}

async function failureOf(work: PromiseLike<unknown>): Promise<unknown> {
  try {
    await work;
  } catch (error) {
    return error;
  }
  throw new Error('It did not fail.');
}
