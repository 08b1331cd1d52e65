import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** How the engine answers a turn. */
export type PacedScript = Readonly<{
  /** Tokens of the answer. */
  pieces: number;
  /** Before each of them, milliseconds. */
  pauseMs: number;
}>;

/** Words within a message that ask for it: prompts hold sources and instructions around what the user wrote. */
export const paceWords = ({ pieces, pauseMs }: PacedScript): string => `pace ${pieces} ${pauseMs}`;
const PACE_WORDS = /\bpace (\d+) (\d+)/;
const UNSCRIPTED: PacedScript = { pieces: 4, pauseMs: 10 };

/** What was sent of one request of the platform, in its last attempt. */
export type PacedTurn = { sentTokens: number; isWhole: boolean; attempts: number };

export type PacedEngine = Readonly<{
  /** Up to and with `/v1`. */
  baseUrl: string;
  /** By request id. */
  turns: ReadonlyMap<string, PacedTurn>;
  /** Streams that are under way. */
  running(): number;
  /** As a crash: every connection is reset, and new ones are refused until `start()`. */
  crash(): Promise<void>;
  start(): Promise<void>;
  close(): Promise<void>;
}>;

/** A word that no guardrail holds back. */
export const PACED_PIECE = 'thus';
export const PACED_PROMPT_TOKENS = 7;

/** An OpenAI-compatible server that writes its answers at a scripted pace, and keeps books of what it sent. */
export async function startPacedEngine(): Promise<PacedEngine> {
  const turns = new Map<string, PacedTurn>();
  const sockets = new Set<Socket>();
  let running = 0;
  const server = createServer(async (request, response) => {
    // A client may leave while its answer is written.
    response.on('error', () => undefined);
    if (request.method === 'GET') {
      const data = [{ id: 'served', object: 'model', created: 0, owned_by: 'test' }];
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ object: 'list', data }));
      return;
    }
    try {
      let text = '';
      for await (const part of request) text += String(part);
      const script = scriptIn(text);
      const requestId = String(request.headers['x-request-id']);
      const attempts = (turns.get(requestId)?.attempts ?? 0) + 1;
      const turn = { sentTokens: 0, isWhole: false, attempts };
      turns.set(requestId, turn);
      running += 1;
      await answer(response, script, turn).finally(() => {
        running -= 1;
      });
    } catch {
      response.destroy();
    }
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.on('error', () => undefined);
  });
  let port = 0;
  const start = async () => {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', () => resolve());
    });
    port = (server.address() as AddressInfo).port;
  };
  const crash = async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of sockets) socket.resetAndDestroy();
    await closed;
  };
  await start();
  return {
    baseUrl: `http://127.0.0.1:${port}/v1`,
    turns,
    running: () => running,
    crash,
    start,
    close: async () => {
      if (server.listening) await crash();
    },
  };
}

function scriptIn(body: string): PacedScript {
  const words = PACE_WORDS.exec(body);
  return words === null ? UNSCRIPTED : { pieces: Number(words[1]), pauseMs: Number(words[2]) };
}

/** Every piece is a write of its own, and counted with it. */
async function answer(
  response: ServerResponse,
  { pieces, pauseMs }: PacedScript,
  turn: PacedTurn,
): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const send = (choices: unknown[]) => {
    const usage = {
      prompt_tokens: PACED_PROMPT_TOKENS,
      completion_tokens: turn.sentTokens,
      total_tokens: PACED_PROMPT_TOKENS + turn.sentTokens,
    };
    const chunk = { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'served', choices };
    response.write(`data: ${JSON.stringify({ ...chunk, usage })}\n\n`);
  };
  for (let piece = 0; piece < pieces; piece++) {
    if (pauseMs > 0) await delay(pauseMs);
    if (response.destroyed) return;
    turn.sentTokens += 1;
    send([{ index: 0, delta: { content: `${PACED_PIECE} ` }, finish_reason: null }]);
  }
  turn.isWhole = true;
  send([{ index: 0, delta: {}, finish_reason: 'stop' }]);
  send([]);
  response.end('data: [DONE]\n\n');
}
