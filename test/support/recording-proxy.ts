import { once } from 'node:events';
import { createServer, request as httpRequest, type IncomingHttpHeaders } from 'node:http';

/** A call that went through the proxy, as it was on the wire. */
export type RecordedCall = {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** The request's body. */
  readonly body: string;
  /** What the server has answered so far. */
  response: string;
  /** `complete`: read to its end. `aborted`: the caller left first. */
  state: 'under way' | 'complete' | 'aborted';
};

export type RecordingProxy = Readonly<{
  url: string;
  calls: readonly RecordedCall[];
  close(): Promise<void>;
}>;

/** A plain HTTP proxy on 127.0.0.1 that passes everything on to `target` as it is, and writes it down. */
export async function startRecordingProxy(target: string): Promise<RecordingProxy> {
  const { hostname, port } = new URL(target);
  const calls: RecordedCall[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(Buffer.from(chunk));
    const body = Buffer.concat(chunks);
    const { method = '', url: path = '', headers } = request;
    const recorded: RecordedCall = {
      ...{ method, path, headers },
      body: body.toString('utf8'),
      response: '',
      state: 'under way',
    };
    calls.push(recorded);
    const upstream = httpRequest({ hostname, port, method, path, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.on('data', (chunk: Buffer) => {
        recorded.response += chunk.toString('utf8');
      });
      answer.pipe(response);
    });
    upstream.on('error', () => response.destroy());
    response.on('close', () => {
      recorded.state = response.writableFinished ? 'complete' : 'aborted';
      upstream.destroy();
    });
    upstream.end(body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The proxy has no port.');
  let closing: Promise<unknown> | undefined;
  return {
    url: `http://127.0.0.1:${address.port}`,
    calls,
    async close() {
      closing ??= once(server.close(), 'close');
      server.closeAllConnections();
      await closing;
    },
  };
}
