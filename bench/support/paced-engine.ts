import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';

export type PacedEngine = Readonly<{
  origin: string;
  /** Answers that are being written now. */
  active(): number;
  /** Calls that came, and those that were answered to their end. */
  calls(): number;
  finished(): number;
  /** Pieces that were written for the prompt that holds this label, and when its caller left (performance.now). */
  callOf(label: string): { pieces: number; leftAt: number | null } | undefined;
  sockets(): Promise<number>;
  close(): Promise<void>;
}>;

export const MODEL = 'paced';
const common = { id: 'chatcmpl-1', created: 1_767_225_600, model: MODEL, object: 'chat.completion.chunk' };
const event = (data: object) => `data: ${JSON.stringify({ ...common, ...data })}\n\n`;
const choice = (delta: object, finish_reason: string | null = null) => ({
  choices: [{ index: 0, delta, finish_reason }],
});

/** The word at a place of an answer. Letters alone: guardrails hold a number back until it is over. */
export const pieceText = (place: number): string =>
  `w${String.fromCharCode(97 + Math.floor(place / 26))}${String.fromCharCode(97 + (place % 26))} `;

/**
 * An OpenAI-compatible server that writes words in their order at a pace: see `pieceText`. A label of the form `#7` in the
 * prompt is how a call is found again.
 */
export async function startPacedEngine(options: {
  pieces: number;
  intervalMs: number;
  firstMs?: number;
}): Promise<PacedEngine> {
  const calls = new Map<string, { pieces: number; leftAt: number | null }>();
  let active = 0;
  let begun = 0;
  let finished = 0;

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method === 'GET') {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ object: 'list', data: [{ id: MODEL, object: 'model', created: 0 }] }));
      return;
    }
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    await once(request, 'end');
    const call = { pieces: 0, leftAt: null as number | null };
    calls.set(/#\d+/.exec(Buffer.concat(parts).toString())?.[0] ?? '', call);
    active += 1;
    begun += 1;
    response.once('close', () => {
      active -= 1;
      if (!response.writableFinished) call.leftAt = performance.now();
    });
    await pause(options.firstMs ?? 0);
    if (response.destroyed) return;
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (let piece = 0; piece < options.pieces; piece++) {
      if (response.destroyed) return;
      response.write(event(choice({ content: pieceText(piece) })));
      call.pieces += 1;
      await pause(options.intervalMs);
    }
    const usage = { prompt_tokens: 10, completion_tokens: options.pieces, total_tokens: 10 + options.pieces };
    response.end(`${event(choice({}, 'stop'))}${event({ choices: [], usage })}data: [DONE]\n\n`);
    finished += 1;
  }

  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  server.keepAliveTimeout = 120_000;
  server.listen(0, '127.0.0.1', 4_096);
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The engine does not listen.');
  return {
    origin: `http://127.0.0.1:${address.port}`,
    active: () => active,
    calls: () => begun,
    finished: () => finished,
    callOf: (label) => calls.get(label),
    sockets: () =>
      new Promise((resolve, reject) => {
        server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)));
      }),
    close: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
