import { access, chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { BACKDOORED, litellmVersionOf, openLitellm } from '../bench/support/peers/litellm.ts';
import { flawOfReply, openPeer } from '../bench/support/peers/peer.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bulkhead-peers-'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(directory, { recursive: true, force: true });
});

/** A virtual environment whose `litellm` leaves a trace when anything starts it. */
async function installLitellm(...versions: string[]): Promise<{ program: string; trace: string }> {
  const trace = join(directory, 'was-started');
  const program = join(directory, 'venv/bin/litellm');
  await mkdir(join(directory, 'venv/bin'), { recursive: true });
  await writeFile(program, `#!/bin/sh\ntouch '${trace}'\n`);
  await chmod(program, 0o755);
  for (const version of versions) {
    await mkdir(join(directory, `venv/lib/python3.11/site-packages/litellm-${version}.dist-info`), {
      recursive: true,
    });
  }
  vi.stubEnv('LITELLM_VENV', join(directory, 'venv'));
  return { program, trace };
}

describe('LiteLLM as a peer', () => {
  it.each(BACKDOORED)('is not started as %s, which carried a backdoor', async (version) => {
    const { trace } = await installLitellm(version);
    expect(await openLitellm('http://127.0.0.1:1')).toEqual({
      name: 'litellm',
      absent: expect.stringContaining(version),
    });
    await expect(access(trace)).rejects.toThrow('ENOENT');
  });

  it.each([[[]], [['1.105.3', '1.82.8']]])(
    'is not started where its version is unclear: %j',
    async (found) => {
      const { trace } = await installLitellm(...found);
      expect(await openLitellm('http://127.0.0.1:1')).toMatchObject({
        absent: expect.stringContaining('version cannot be told'),
      });
      await expect(access(trace)).rejects.toThrow('ENOENT');
    },
  );

  it('is known by its version through a link, as pipx installs it', async () => {
    const { program } = await installLitellm('1.105.3');
    const link = join(directory, 'litellm');
    await symlink(program, link);
    expect(litellmVersionOf(link)).toBe('1.105.3');
  });

  it('that ends at its start is absent, with what it said', async () => {
    const { program } = await installLitellm('1.105.3');
    await writeFile(program, '#!/bin/sh\necho no configuration >&2\nexit 3\n');
    expect(await openPeer('litellm', () => openLitellm('http://127.0.0.1:1'))).toEqual({
      name: 'litellm',
      absent: expect.stringContaining('no configuration'),
    });
  });
});

describe('a contestant', () => {
  let server: Server | undefined;
  afterEach(() => server?.close());
  const answering = async (status: number, body: string) => {
    const started = createServer((_, response) => response.writeHead(status).end(body));
    server = started;
    await new Promise<void>((resolve) => started.listen(0, '127.0.0.1', resolve));
    const address = started.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    return flawOfReply({ name: 'one', url: `http://127.0.0.1:${port}/`, headers: {} }, '{}');
  };
  const reply = (content: string) =>
    JSON.stringify({
      choices: [{ message: { content }, finish_reason: 'stop' }],
      usage: { total_tokens: 208 },
    });

  it('is measured when it gives the upstream’s reply', async () => {
    expect(await answering(200, reply('A short answer of eight tokens.'))).toBeNull();
  });

  it('is not measured when nothing answers', async () => {
    await answering(200, '');
    server?.closeAllConnections();
    const address = server?.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    await new Promise((resolve) => server?.close(resolve));
    expect(await flawOfReply({ name: 'one', url: `http://127.0.0.1:${port}/`, headers: {} }, '{}')).toContain(
      'it did not answer',
    );
  });

  it.each([
    [401, '{"error":"no key"}'],
    [200, reply('Something of its own.')],
    [502, reply('A short answer of eight tokens.')],
  ])('is not measured when it answers %i %s', async (status, body) => {
    expect(await answering(status, body)).toContain(`${status} ${body}`);
  });
});
