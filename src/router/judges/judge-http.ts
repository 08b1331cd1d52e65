import { Agent, fetch } from 'undici';
import { withErrorListener } from '#app/faults/with-error-listener.ts';
import { JudgeFailure } from '#router/judges/judge.ts';

const MAX_ANSWER_BYTES = 1_048_576;
const CONNECT_TIMEOUT_MS = 5_000;

/** Posts to one judge. Its connections are its own, so that a slow one keeps nobody else’s waiting. */
export interface JudgeHttp {
  /** The answer as JSON. Throws {@link JudgeFailure}, or the signal’s reason. */
  post(
    url: string,
    request: { headers: Readonly<Record<string, string>>; body: string },
    signal: AbortSignal,
  ): Promise<unknown>;
  close(): Promise<void>;
}

export function createJudgeHttp(): JudgeHttp {
  // Not bounded here: the places of each tenant, and of all, bound the calls.
  const dispatcher = withErrorListener(new Agent({ connect: { timeout: CONNECT_TIMEOUT_MS } }));
  return {
    async post(url, { headers, body }, signal) {
      try {
        const response = await fetch(url, {
          method: 'POST',
          headers,
          body,
          signal,
          // A redirect would carry the credential, and the text, elsewhere.
          redirect: 'error',
          dispatcher,
        });
        const text = await readBounded(response.body);
        if (!response.ok) throw new JudgeFailure(`The judge answered with status ${response.status}.`);
        return JSON.parse(text);
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof JudgeFailure) throw error;
        // A parser’s message quotes what it read.
        if (error instanceof SyntaxError) throw new JudgeFailure('The judge’s answer is not JSON.');
        throw new JudgeFailure('The judge cannot be reached.', { cause: error });
      }
    },
    close: () => dispatcher.destroy(),
  };
}

async function readBounded(body: AsyncIterable<Uint8Array> | null): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body ?? []) {
    size += chunk.length;
    if (size > MAX_ANSWER_BYTES)
      throw new JudgeFailure(`The judge’s answer is longer than ${MAX_ANSWER_BYTES} bytes.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
