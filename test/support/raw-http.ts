import { connect } from 'node:net';

/**
 * Sends bytes to the server as they are, and reads until it closes or is silent for `silenceMs`. For requests that
 * no HTTP client would send.
 */
export function sendRaw(url: string, request: string | Buffer, silenceMs = 2_000): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    let received = '';
    const socket = connect(Number(port), hostname, () => socket.write(request));
    socket.setTimeout(silenceMs, () => socket.destroy());
    socket.on('data', (data) => {
      received += data.toString('latin1');
    });
    // A reset after the answer is an answer; without one it shows as an empty text.
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error);
    });
    socket.once('close', () => resolve(received));
  });
}

/** The statuses of all responses in what {@link sendRaw} received. */
export const statusesOf = (received: string): number[] =>
  [...received.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)].map((match) => Number(match[1]));
