import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { z } from 'zod';

/** What the engine does with a turn: the client asks for it in its message, as JSON. */
const scriptSchema = z.object({
  tag: z.string(),
  /** Tokens of the answer. */
  pieces: z.int().nonnegative(),
  /** After them: end well, wait until the connection is gone, fail, or refuse before any. */
  ending: z.enum(['finish', 'hold', 'fail', 'refuse']),
});
export type EngineScript = z.infer<typeof scriptSchema>;

const bodySchema = z.looseObject({
  max_tokens: z.int().positive().optional(),
  messages: z.array(z.looseObject({ content: z.string() })).min(1),
});

/** What was served of one request of the platform. */
export type ServedTurn = {
  requestId: string;
  tag: string;
  promptTokens: number;
  completionTokens: number;
  isWhole: boolean;
};

export type CountingEngine = {
  /** Up to and with `/v1`. */
  baseUrl: string;
  /** By request id. */
  served: Map<string, ServedTurn>;
  close(): Promise<void>;
};

const PROMPT_TOKENS = 7;
/** A word that no guardrail holds back. */
export const PIECE = 'thus';

/**
 * An OpenAI-compatible server over HTTP that keeps books: what it sent of which request. It reports its usage as it
 * goes, as vLLM does where it is asked to.
 */
export async function startCountingEngine({
  obeysMaxTokens = true,
  mayAnswer = Promise.resolve(),
}: {
  /** `false`: writes all it is asked for in the message, whatever the request bounds. */
  obeysMaxTokens?: boolean;
  /** Answers wait for it. */
  mayAnswer?: Promise<unknown>;
} = {}): Promise<CountingEngine> {
  const served = new Map<string, ServedTurn>();
  const sockets = new Set<Socket>();
  const server = createServer(async (request, response) => {
    if (request.method === 'GET') {
      json(response, 200, {
        object: 'list',
        data: [{ id: 'served', object: 'model', created: 0, owned_by: 'test' }],
      });
      return;
    }
    let text = '';
    for await (const part of request) text += String(part);
    const { messages, max_tokens } = bodySchema.parse(JSON.parse(text));
    const script = scriptSchema.parse(JSON.parse(messages.at(-1)?.content ?? ''));
    const requestId = String(request.headers['x-request-id']);
    if (served.has(requestId)) throw new Error(`The request ${requestId} came twice.`);
    const turn = { requestId, tag: script.tag, promptTokens: 0, completionTokens: 0, isWhole: false };
    served.set(requestId, turn);
    if (script.ending === 'refuse') {
      json(response, 400, {
        error: { message: 'no', type: 'invalid_request_error', param: null, code: 400 },
      });
      return;
    }
    await mayAnswer;
    const limit = obeysMaxTokens ? (max_tokens ?? Number.POSITIVE_INFINITY) : Number.POSITIVE_INFINITY;
    await answer(response, script, turn, limit);
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    // A killed router resets its connections.
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    baseUrl: `http://127.0.0.1:${port}/v1`,
    served,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

/** Every piece is a write of its own, and counted with it. It waits for the reader, and stops when that has gone. */
async function answer(
  response: ServerResponse,
  { pieces: wanted, ending }: EngineScript,
  turn: ServedTurn,
  limit: number,
): Promise<void> {
  const pieces = Math.min(wanted, limit);
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const usage = () => ({
    prompt_tokens: turn.promptTokens,
    completion_tokens: turn.completionTokens,
    total_tokens: turn.promptTokens + turn.completionTokens,
  });
  const send = (choices: unknown[]) => {
    const chunk = { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'served', choices };
    return response.write(`data: ${JSON.stringify({ ...chunk, usage: usage() })}\n\n`);
  };
  const isGone = () => response.destroyed;
  for (let piece = 0; piece < pieces && !isGone(); piece++) {
    turn.promptTokens = PROMPT_TOKENS;
    turn.completionTokens += 1;
    const wasTaken = send([{ index: 0, delta: { content: `${PIECE} ` }, finish_reason: null }]);
    if (!wasTaken) await taken(response);
  }
  if (ending === 'hold') return;
  if (ending === 'fail') {
    response.end('data: {"error":{"message":"out of memory","type":"server_error","code":500}}\n\n');
    return;
  }
  turn.promptTokens = PROMPT_TOKENS;
  turn.isWhole = true;
  send([{ index: 0, delta: {}, finish_reason: pieces < wanted ? 'length' : 'stop' }]);
  send([]);
  response.end('data: [DONE]\n\n');
}

/** Resolves when the reader has taken what was written, or has gone. */
const taken = (response: ServerResponse): Promise<void> =>
  new Promise((resolve) => {
    const done = () => {
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.once('drain', done).once('close', done);
  });

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}
