import { createParser } from 'eventsource-parser';
import { type Dispatcher, request } from 'undici';
import { at } from '../http-client.ts';
import { PACED_PIECE, type PacedScript, paceWords } from './paced-engine.ts';

/**
 * `chat` passes an engine's answer through, `graph` and `rag` make a turn of it, `rag`, `search` and `embeddings` need the
 * RAG service, `usage` the database.
 */
export const LOAD_KINDS = ['chat', 'graph', 'rag', 'embeddings', 'search', 'usage'] as const;
export type LoadKind = (typeof LOAD_KINDS)[number];

/**
 * How a request ended, as its client saw it. `complete`: everything came. `error event`: a stream whose last event says why
 * it ended. `refused`: an error of the platform, with its code. `cut`: an answer that began and did not end. `failed`: no
 * answer at all, or one of the front.
 */
export type Verdict = 'complete' | 'error event' | 'refused' | 'cut' | 'failed';

export type LoadRequest = {
  /** Names it in messages of tests. */
  readonly tag: string;
  readonly kind: LoadKind;
  readonly tenant: string;
  readonly key: string;
  readonly script: PacedScript;
  readonly stream: boolean;
  /** Milliseconds of `performance.now()`. */
  readonly startedAt: number;
  endedAt: number | null;
  requestId: string | null;
  status: number | null;
  /** Of the error, where there is one. */
  code: string | null;
  /** Pieces of the engine's answer that came. */
  received: number;
  verdict: Verdict | null;
  detail: string;
};

const TIMEOUT_MS = 90_000;

/** Sends it, and writes down how it ends. Never throws. */
export async function sendLoadRequest(
  sent: LoadRequest,
  { url, dispatcher, isFresh }: { url: string; dispatcher: Dispatcher; isFresh: boolean },
): Promise<void> {
  const { method, path, body } = callOf(sent);
  try {
    const answer = await request(`${url}${path}`, {
      method,
      dispatcher,
      reset: isFresh,
      headers: { authorization: `Bearer ${sent.key}`, 'content-type': 'application/json' },
      body: body === null ? null : JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    sent.status = answer.statusCode;
    sent.requestId = headerOf(answer.headers['x-request-id']);
    try {
      if (answer.statusCode === 200 && sent.stream) await readStream(answer.body, sent);
      else readWhole(await answer.body.text(), sent);
    } catch (error) {
      sent.verdict = 'cut';
      sent.detail = wordsOf(error);
    }
  } catch (error) {
    sent.verdict = 'failed';
    sent.detail = wordsOf(error);
  } finally {
    sent.endedAt = performance.now();
  }
}

function callOf({ tag, kind, script, stream, tenant }: LoadRequest) {
  if (kind === 'usage') return { method: 'GET', path: '/v1/usage', body: null } as const;
  if (kind === 'embeddings') {
    const body = { model: 'bulkhead-embed', input: `a note of ${tenant}: ${tag}` };
    return { method: 'POST', path: '/v1/embeddings', body } as const;
  }
  if (kind === 'search') {
    return {
      method: 'POST',
      path: '/v1/vault/search',
      body: { query: 'When does the office open?' },
    } as const;
  }
  const model = { chat: 'served', graph: 'bulkhead-chat', rag: 'bulkhead-rag' }[kind];
  const content = `When does the office open? ${paceWords(script)}`;
  const body = { model, stream, messages: [{ role: 'user', content }] };
  return { method: 'POST', path: '/v1/chat/completions', body } as const;
}

async function readStream(body: AsyncIterable<Uint8Array>, sent: LoadRequest): Promise<void> {
  let verdict: Verdict = 'cut';
  const parser = createParser({
    onEvent({ data }) {
      if (data === '[DONE]') {
        if (verdict === 'cut') verdict = 'complete';
        return;
      }
      const event: unknown = JSON.parse(data);
      const code = at(event, 'error.code');
      if (code !== undefined) {
        sent.code = String(code);
        sent.detail = String(at(event, 'error.message'));
        verdict = 'error event';
      }
      const text = at(event, 'choices.0.delta.content');
      if (typeof text === 'string') sent.received += piecesIn(text);
    },
  });
  const decoder = new TextDecoder();
  for await (const part of body) parser.feed(decoder.decode(part, { stream: true }));
  sent.verdict = verdict;
  if (verdict === 'cut') sent.detail = 'the stream ended without its end';
}

function readWhole(text: string, sent: LoadRequest): void {
  const json: unknown = JSON.parse(text);
  if (sent.status !== null && sent.status < 300) {
    sent.received = piecesIn(String(at(json, 'choices.0.message.content') ?? ''));
    sent.verdict = 'complete';
    return;
  }
  sent.code = String(at(json, 'error.code'));
  sent.detail = String(at(json, 'error.message'));
  sent.verdict = sent.code.startsWith('front_') ? 'failed' : 'refused';
}

const piecesIn = (text: string): number => text.split(PACED_PIECE).length - 1;

const headerOf = (value: string | string[] | undefined): string | null =>
  typeof value === 'string' ? value : null;

function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error ? `${String(error.code)} ` : '';
  return `${code}${error.message}${error.cause === undefined ? '' : ` (${wordsOf(error.cause)})`}`;
}
