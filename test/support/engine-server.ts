import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

/** A call that the server received, with when it was cut off, if it was. */
export type EngineCall = {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  body: Record<string, unknown>;
  /** Resolves when the connection of the call is gone before its answer was complete. */
  cutOff: Promise<void>;
};

export type EngineServer = {
  /** Up to and with `/v1`. */
  baseUrl: string;
  calls: EngineCall[];
  /** Connections that were made, in all. */
  connections(): number;
  close(): Promise<void>;
};

/** A local server that replays what an OpenAI-compatible server would send, or fails as one could. */
export async function startEngineServer(
  answer: (call: EngineCall, response: ServerResponse, nth: number) => unknown,
): Promise<EngineServer> {
  const calls: EngineCall[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer(async (request, response) => {
    const body = await readJson(request);
    const call: EngineCall = {
      method: request.method ?? '',
      path: request.url ?? '',
      headers: request.headers,
      body,
      cutOff: new Promise((resolve) => {
        response.once('close', () => {
          if (!response.writableFinished) resolve();
        });
      }),
    };
    calls.push(call);
    await answer(call, response, calls.length);
  });
  server.on('connection', (socket) => {
    connections += 1;
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    baseUrl: `http://127.0.0.1:${port}/v1`,
    calls,
    connections: () => connections,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

/** Sends a whole event stream. */
export function sendStream(response: ServerResponse, stream: string | Uint8Array): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.end(stream);
}

/** Sends an error as these servers do. */
export function sendError(
  response: ServerResponse,
  status: number,
  body: unknown = { error: { message: 'no' } },
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}

/** A stream of the form that llama.cpp sends, with these pieces of text. */
export function streamOf(
  pieces: readonly string[],
  usage = { prompt_tokens: 7, completion_tokens: pieces.length },
): string {
  const chunk = (fields: Record<string, unknown>) =>
    `data: ${JSON.stringify({ id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'served', ...fields })}\n\n`;
  const choice = (delta: Record<string, unknown>, finish_reason: string | null = null) =>
    chunk({ choices: [{ index: 0, delta, finish_reason }] });
  return [
    choice({ role: 'assistant', content: null }),
    ...pieces.map((content) => choice({ content })),
    choice({}, 'stop'),
    chunk({ choices: [], usage: { ...usage, total_tokens: usage.prompt_tokens + usage.completion_tokens } }),
    'data: [DONE]\n\n',
  ].join('');
}

async function readJson(request: IncomingMessage): Promise<Record<string, unknown>> {
  let text = '';
  for await (const chunk of request) text += String(chunk);
  return text === '' ? {} : JSON.parse(text);
}
