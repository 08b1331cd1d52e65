import type { ServerResponse } from 'node:http';
import { type EngineCall, type EngineServer, sendError, startEngineServer } from './engine-server.ts';

export type JudgeServer = EngineServer & {
  /** What it was asked to judge, in order: the last message of each call. */
  judged: () => string[];
};

/** A server of a Llama-Guard-style model that finds unsafe what holds a word; a test may answer otherwise. */
export async function startJudgeServer(
  behaviour: { answer?: (text: string, response: ServerResponse, call: EngineCall) => unknown } = {},
): Promise<JudgeServer> {
  const server = await startEngineServer(async (call, response) => {
    const text = judgedText(call);
    if (behaviour.answer !== undefined) return behaviour.answer(text, response, call);
    return sayVerdict(response, text.includes('bomb') ? 'unsafe\nS9,S1' : 'safe');
  });
  return { ...server, judged: () => server.calls.map(judgedText) };
}

/** A chat completion as vLLM and llama.cpp send it. */
export function sayVerdict(response: ServerResponse, content: string): void {
  sendError(response, 200, {
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1,
    model: 'guard',
    choices: [{ index: 0, message: { role: 'assistant', content }, logprobs: null, finish_reason: 'stop' }],
    usage: { prompt_tokens: 200, completion_tokens: 2, total_tokens: 202 },
  });
}

function judgedText({ body }: EngineCall): string {
  const messages = Array.isArray(body.messages) ? body.messages : [];
  const last: unknown = messages.at(-1);
  return typeof last === 'object' && last !== null && 'content' in last ? String(last.content) : '';
}
