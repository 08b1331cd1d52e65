import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';

/** A client that has asked and reads nothing, and the server's side of its request. */
export type StalledClient = Readonly<{
  client: Socket;
  request: IncomingMessage;
  response: ServerResponse;
  close(): Promise<void>;
}>;

/** Sends `head` to a port on loopback, and reads nothing of what comes. */
export function askAndReadNothing(port: number, head: string): Socket {
  const client = connect(port, '127.0.0.1');
  // It is cut off, which is what the tests are about.
  client.on('error', () => {});
  client.pause();
  client.write(head);
  return client;
}

/** A bare server with one such client. */
export async function stallClient(): Promise<StalledClient> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The server has no port.');
  const client = askAndReadNothing(address.port, 'GET / HTTP/1.1\r\nhost: x\r\n\r\n');
  const [request, response] = (await once(server, 'request')) as [IncomingMessage, ServerResponse];
  return {
    client,
    request,
    response,
    async close() {
      client.destroy();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
