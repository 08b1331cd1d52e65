import { randomBytes, timingSafeEqual } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, join } from 'node:path';
import { directoryIdentity } from '#app/data-directory/directory-identity.ts';
import { withErrorListener } from '#app/faults/with-error-listener.ts';
import { controlFileIn, STAGED_COPY } from '#cli/up/control-file.ts';
import { writeFileAtomically } from '#cli/up/write-file-atomically.ts';
import type { Logger } from '#observability/logger.ts';

export type ControlServer = { close(): Promise<void> };

/**
 * Takes orders of who can read the data directory: a server of its own on loopback, with a token that is in
 * `control.json` (mode 0600) and nowhere else. No route of the API leads to it, so that no operator's key copies a
 * database. `POST /copy` copies the database into the data directory, one copy at a time, and answers with its name and the
 * directory's identity: a `control.json` that was copied with its directory leads to the process of the original.
 */
export async function startControlServer(options: {
  dataDirectory: string;
  copyDatabase: (directory: string) => Promise<void>;
  logger: Logger;
}): Promise<ControlServer> {
  const { dataDirectory, copyDatabase, logger } = options;
  await removeStagedCopies(dataDirectory);
  const token = randomBytes(32).toString('base64url');
  const directory = await directoryIdentity(dataDirectory);
  const expected = Buffer.from(`Bearer ${token}`);
  let copying: Promise<unknown> = Promise.resolve();

  async function copy(): Promise<string> {
    const path = join(dataDirectory, `.backup-${randomBytes(8).toString('hex')}`);
    const startedAt = performance.now();
    try {
      await copyDatabase(path);
    } catch (error) {
      await rm(path, { recursive: true, force: true });
      throw error;
    }
    logger.info(
      { event: 'database_copied', latency_ms: Math.round(performance.now() - startedAt) },
      'the database was copied for a backup',
    );
    return path;
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const given = Buffer.from(request.headers.authorization ?? '');
    const isOwner = given.length === expected.length && timingSafeEqual(given, expected);
    if (!isOwner) return send(response, 401, { error: 'unauthorized' });
    if (request.method === 'POST' && request.url === '/ping') return send(response, 200, { directory });
    if (request.method !== 'POST' || request.url !== '/copy')
      return send(response, 404, { error: 'not_found' });
    const mine = copying.then(copy);
    copying = mine.catch(() => undefined);
    send(response, 200, { directory, name: basename(await mine) });
  }

  const server = withErrorListener(
    createServer((request, response) => {
      answer(request, response).catch((error: unknown) => {
        logger.error({ event: 'database_copy_failed', err: error }, 'the database could not be copied');
        send(response, 500, { error: error instanceof Error ? error.message : String(error) });
      });
    }),
    (error) => logger.warn({ event: 'control_server_failed', err: error }, 'control server failed'),
  );
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  await writeFileAtomically(
    controlFileIn(dataDirectory),
    `${JSON.stringify({ url: `http://127.0.0.1:${port}`, token })}\n`,
  );
  return {
    async close() {
      await rm(controlFileIn(dataDirectory), { force: true });
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      // A copy under way ends by itself; the database closes behind it.
      await copying;
    },
  };
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(`${JSON.stringify(body)}\n`);
}

/** Those of commands that were killed before they removed theirs. */
async function removeStagedCopies(dataDirectory: string): Promise<void> {
  for (const name of await readdir(dataDirectory)) {
    if (STAGED_COPY.test(name)) await rm(join(dataDirectory, name), { recursive: true, force: true });
  }
}
