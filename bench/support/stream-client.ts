import { request } from 'node:http';

export type OpenStream = Readonly<{
  /** Resolves when the stream has ended, by itself or by `leave`. */
  ended: Promise<void>;
  /** Text of the answer so far, its pieces joined. */
  text(): string;
  status(): number | null;
  isDone(): boolean;
  readonly bodyBytes: number;
  /** Closes the connection, as a client does that goes away. */
  leave(): void;
}>;

/** A streamed chat over a connection of its own. Never throws: a connection that breaks ends the stream. */
export function openStream(options: {
  url: string;
  key: string;
  model: string;
  message: string;
  onFirstByte?: () => void;
}): OpenStream {
  const body = JSON.stringify({
    model: options.model,
    stream: true,
    messages: [{ role: 'user', content: options.message }],
  });
  let status: number | null = null;
  let raw = '';
  const call = request(options.url, {
    method: 'POST',
    agent: false,
    headers: {
      authorization: `Bearer ${options.key}`,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    },
  });
  const ended = new Promise<void>((resolve) => {
    call.once('response', (response) => {
      status = response.statusCode ?? 0;
      response.setEncoding('utf8');
      response.once('data', () => options.onFirstByte?.());
      response.on('data', (chunk: string) => {
        raw += chunk;
      });
      response.once('error', () => resolve());
      response.once('close', () => resolve());
    });
    call.once('error', () => resolve());
    call.once('close', () => resolve());
  });
  call.end(body);
  return {
    ended,
    text: () =>
      [...raw.matchAll(/"delta":\{[^}]*"content":"([^"]*)"/g)].map(([, piece]) => piece ?? '').join(''),
    status: () => status,
    bodyBytes: Buffer.byteLength(body),
    isDone: () => raw.endsWith('data: [DONE]\n\n'),
    leave: () => call.destroy(),
  };
}
