import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { withErrorListener } from '#app/faults/with-error-listener.ts';
import { SettingsError } from '#app/settings/load-settings.ts';

/** A reader that is slower than this is let go of, milliseconds. */
const REQUEST_MS = 10_000;

export type MetricsServer = Readonly<{ url: string; close(): Promise<void> }>;

/**
 * `GET /metrics` on a port of its own, which no load balancer need lead to: there are no credentials in front of it. Throws
 * `SettingsError` where the port is taken.
 */
export async function serveMetrics(options: {
  host: string;
  /** 0: a free one. */
  port: number;
  read: () => Promise<{ text: string; contentType: string }>;
}): Promise<MetricsServer> {
  const { host, port, read } = options;
  const answer = async (response: ServerResponse) => {
    const { text, contentType } = await read();
    response.writeHead(200, { 'content-type': contentType }).end(text);
  };
  const server = withErrorListener(
    createServer({ requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS }, (request, response) => {
      request.resume();
      const isKnown = request.url?.split('?')[0] === '/metrics';
      if (!isKnown || (request.method !== 'GET' && request.method !== 'HEAD')) {
        response.writeHead(isKnown ? 405 : 404, { 'content-type': 'text/plain' }).end('GET /metrics\n');
        return;
      }
      answer(response).catch(() => response.writeHead(500).end());
    }),
  );
  server.setTimeout(REQUEST_MS, (socket) => socket.destroy());
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new SettingsError(`METRICS_PORT: cannot be listened on: ${reason}`, { cause: error });
  }
  const { port: bound } = server.address() as AddressInfo;
  server.unref();
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}/metrics`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
