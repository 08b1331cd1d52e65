import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, it } from 'vitest';
import { checkPort } from '#cli/up/check-port.ts';

it('refuses a port that is in use, naming it and how to choose another', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  await expect(checkPort('127.0.0.1', port)).rejects.toThrow(`Port ${port} on 127.0.0.1 is in use`);
  server.close();
  await once(server, 'close');
  await checkPort('127.0.0.1', port);
});

it('accepts any port for 0, and refuses an address of another machine', async () => {
  await checkPort('127.0.0.1', 0);
  await expect(checkPort('192.0.2.1', 0)).rejects.toThrow('HOST=192.0.2.1');
});
