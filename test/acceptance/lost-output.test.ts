import { execFileSync, spawn } from 'node:child_process';
import { closeSync, openSync, readdirSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { call, eventually } from '../support/http-client.ts';
import { sendRaw } from '../support/raw-http.ts';
import { cleanEnvironment, newDataDirectory } from '../support/start-bulkhead.ts';

const CLI = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const FULL = '/dev/full';

describe.skipIf(process.platform !== 'linux')(
  'bulkhead up, whose output goes nowhere',
  { timeout: 120_000 },
  () => {
    let directory: string;
    let child: ReturnType<typeof spawn>;
    let url: string;

    beforeAll(async () => {
      directory = await newDataDirectory();
      // Log lines meet a full disk; messages meet a reader that leaves.
      const full = openSync(FULL, 'w');
      child = spawn(process.execPath, [CLI, 'up'], {
        cwd: directory,
        env: cleanEnvironment({ BULKHEAD_DATA_DIR: directory, BULKHEAD_DEMO: 'off', PORT: '0' }),
        stdio: ['ignore', full, 'pipe'],
      });
      closeSync(full);
      child.stderr?.once('data', () => child.stderr?.destroy());
      url = await eventually(
        'it listens',
        async () => {
          const text = await readFile(join(directory, 'server.json'), 'utf8').catch(() => null);
          return text === null ? undefined : (JSON.parse(text).url as string);
        },
        100_000,
      );
    }, 120_000);
    afterAll(async () => {
      child?.kill('SIGKILL');
      await rm(directory, { recursive: true, force: true });
    });

    const answers = async () => {
      expect((await call(url, 'GET /healthz')).status).toBe(200);
      expect(child.exitCode).toBeNull();
      expect(child.signalCode).toBeNull();
    };

    it('goes on where its log cannot be written and its messages have no reader', async () => {
      for (let request = 0; request < 20; request++) await call(url, 'GET /v1/models');
      await delay(300);
      await answers();
    });

    it('goes on where connections are reset, upgraded, tunnelled and cut in the middle of a request', async () => {
      const { hostname, port } = new URL(url);
      for (let request = 0; request < 20; request++) {
        const socket = connect(Number(port), hostname);
        await new Promise((resolve) => socket.once('connect', resolve));
        socket.write('POST /v1/chat HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n{');
        await delay(2);
        socket.resetAndDestroy();
      }
      const upgrade = 'GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n';
      await sendRaw(url, upgrade, 300);
      await sendRaw(url, 'CONNECT example.com:443 HTTP/1.1\r\nhost: example.com\r\n\r\n', 300);
      await sendRaw(url, '\u0016\u0003\u0001\u0000', 300);
      await answers();
    });

    it('goes on where no file descriptor is left for a connection', async () => {
      const pid = child.pid ?? 0;
      const limit = (count: number) => execFileSync('prlimit', ['--pid', String(pid), `--nofile=${count}:`]);
      const open = readdirSync(`/proc/${pid}/fd`).length;
      limit(open + 8);
      const { hostname, port } = new URL(url);
      const sockets: Socket[] = [];
      try {
        for (let count = 0; count < 100; count++) {
          sockets.push(connect(Number(port), hostname).on('error', () => undefined));
        }
        await delay(500);
      } finally {
        limit(4_096);
        for (const socket of sockets) socket.destroy();
      }
      await delay(200);
      await answers();
    });
  },
);
