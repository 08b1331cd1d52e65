import OpenAI from 'openai';
import { beforeAll, describe, expect, it } from 'vitest';
import { FACTS, NOT_IN_DOCUMENTS, type SeededPlatform } from '../../support/seeded-platform.ts';

/** The official client, as its users write it. Only the base URL and the key are ours. */
export function describeOpenAIClient(seeded: () => SeededPlatform): void {
  describe('the official openai client', () => {
    let client: OpenAI;
    beforeAll(() => {
      const { platform, keys } = seeded();
      client = new OpenAI({ baseURL: `${platform.url}/v1`, apiKey: keys.alice, maxRetries: 0 });
    });
    const question = (content: string) => ({
      model: 'bulkhead-rag',
      messages: [{ role: 'user' as const, content }],
    });

    it('chats', async () => {
      const completion = await client.chat.completions.create(question(FACTS.alice.question));
      expect(completion.object).toBe('chat.completion');
      expect(completion.model).toBe('bulkhead-rag');
      const [choice] = completion.choices;
      expect(choice?.finish_reason).toBe('stop');
      expect(choice?.message.role).toBe('assistant');
      expect(choice?.message.content).toContain('42 bar');
      const { prompt_tokens, completion_tokens, total_tokens } = completion.usage ?? {};
      expect(prompt_tokens).toBeGreaterThan(0);
      expect(completion_tokens).toBeGreaterThan(0);
      expect(total_tokens).toBe((prompt_tokens ?? 0) + (completion_tokens ?? 0));
    });

    it('streams the same answer, with usage at the end', async () => {
      const whole = await client.chat.completions.create(question(FACTS.alice.question));
      const stream = await client.chat.completions.create({
        ...question(FACTS.alice.question),
        stream: true,
        stream_options: { include_usage: true },
      });
      let text = '';
      const reasons: string[] = [];
      const usages: (OpenAI.CompletionUsage | null | undefined)[] = [];
      for await (const chunk of stream) {
        text += chunk.choices[0]?.delta.content ?? '';
        const reason = chunk.choices[0]?.finish_reason;
        if (typeof reason === 'string') reasons.push(reason);
        usages.push(chunk.usage);
      }
      expect(text).toBe(whole.choices[0]?.message.content);
      expect(reasons).toEqual(['stop']);
      expect(usages.at(-1)).toEqual(whole.usage);
      expect(usages.slice(0, -1).every((usage) => usage === null)).toBe(true);
    });

    it('gathers a stream with its helper', async () => {
      const completion = await client.chat.completions
        .stream(question(FACTS.acme.question))
        .finalChatCompletion();
      expect(completion.choices[0]?.message.content).toContain(FACTS.acme.word);
    });

    it('says where the documents hold no answer', async () => {
      const { choices } = await client.chat.completions.create(question('What is the capital of Peru?'));
      expect(choices[0]?.message.content).toBe(NOT_IN_DOCUMENTS);
    });

    it('reads the whole history, and parts of content', async () => {
      const { choices } = await client.chat.completions.create({
        model: 'bulkhead-rag',
        messages: [
          { role: 'system', content: 'You are helpful.' },
          { role: 'user', content: 'Hello' },
          { role: 'assistant', content: 'Hello. What would you like to know?' },
          { role: 'user', content: [{ type: 'text', text: FACTS.alice.question }] },
        ],
      });
      expect(choices[0]?.message.content).toContain('42 bar');
    });

    it('has parameters ignored that Bulkhead does not know', async () => {
      const { choices } = await client.chat.completions.create({
        ...question(FACTS.alice.question),
        store: false,
        metadata: { purpose: 'test' },
        service_tier: 'auto',
        logit_bias: {},
        user: 'somebody',
      });
      expect(choices).toHaveLength(1);
    });

    it('lists and retrieves models', async () => {
      const ids: string[] = [];
      for await (const model of await client.models.list()) ids.push(model.id);
      expect(ids).toContain('bulkhead-rag');
      expect(ids).toContain('bulkhead-chat');
      expect(await client.models.retrieve('bulkhead-rag')).toMatchObject({
        id: 'bulkhead-rag',
        object: 'model',
      });
    });

    it('throws its own errors, with code, parameter and request id', async () => {
      const stranger = client.withOptions({ apiKey: 'bk_nobody' });
      const unauthorised = await failureOf(stranger.chat.completions.create(question('Hello')));
      expect(unauthorised).toBeInstanceOf(OpenAI.AuthenticationError);
      expect(unauthorised).toMatchObject({ status: 401, code: 'invalid_credential' });

      const missing = await failureOf(client.models.retrieve('no/such-model'));
      expect(missing).toBeInstanceOf(OpenAI.NotFoundError);
      expect(missing).toMatchObject({ status: 404, code: 'model_not_found', param: 'model' });

      const unknownModel = { ...question('Hello'), model: 'no/such-model' };
      const noModel = await failureOf(client.chat.completions.create(unknownModel));
      expect(noModel).toBeInstanceOf(OpenAI.NotFoundError);
      expect(noModel).toMatchObject({ status: 404, code: 'model_not_found', param: 'model' });

      const bad = await failureOf(client.chat.completions.create({ ...question('Hello'), temperature: 9 }));
      expect(bad).toBeInstanceOf(OpenAI.BadRequestError);
      expect(bad).toMatchObject({ status: 400, code: 'invalid_request', param: 'temperature' });
      expect(Reflect.get(Object(bad), 'requestID')).toMatch(/^req_/);
    });

    it('fails before the stream where the request is refused', async () => {
      const failure = await failureOf(
        client.chat.completions.create({ ...question('Hello'), model: 'no/such-model', stream: true }),
      );
      expect(failure).toBeInstanceOf(OpenAI.NotFoundError);
    });

    it('aborts, before the answer and within it', async () => {
      const controller = new AbortController();
      const pending = client.chat.completions.create(question(FACTS.alice.question), {
        signal: controller.signal,
      });
      controller.abort();
      expect(await failureOf(pending)).toBeInstanceOf(OpenAI.APIUserAbortError);

      const stream = await client.chat.completions.create({
        ...question(FACTS.alice.question),
        stream: true,
      });
      for await (const _chunk of stream) break;
      expect(stream.controller.signal.aborted).toBe(true);

      const after = await client.chat.completions.create(question(FACTS.alice.question));
      expect(after.choices[0]?.message.content).toContain('42 bar');
    });
  });
}

async function failureOf(work: Promise<unknown>): Promise<unknown> {
  try {
    await work;
  } catch (error) {
    return error;
  }
  throw new Error('It did not fail.');
}
