import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findProgram } from '#test/support/find-program.ts';
import { freePort } from '#test/support/free-port.ts';
import { type Peer, startListening } from './peer.ts';

/** nginx as a plain reverse proxy: one worker that keeps its connections to the upstream, and no log. */
export async function openNginx(upstream: string): Promise<Peer> {
  const program = findProgram('nginx', {
    override: 'NGINX',
    directories: ['/usr/sbin', '/usr/local/sbin', '/opt/homebrew/bin'],
  });
  if (program === null) return { name: 'nginx', absent: 'no nginx on the PATH' };
  const directory = await mkdtemp(join(tmpdir(), 'bulkhead-nginx-'));
  const remove = () => rm(directory, { recursive: true, force: true });
  try {
    const port = await freePort();
    const file = join(directory, 'nginx.conf');
    await writeFile(file, configOf(directory, port, new URL(upstream).host));
    const origin = `http://127.0.0.1:${port}`;
    const child = await startListening(
      'nginx',
      { command: program, args: ['-p', directory, '-c', file, '-e', 'stderr'] },
      origin,
    );
    const { stderr } = await promisify(execFile)(program, ['-v']);
    const version = /nginx\/([\d.]+)/.exec(stderr)?.[1];
    return {
      contestant: {
        name: 'nginx',
        ...(version === undefined ? {} : { version }),
        url: `${origin}/v1/chat/completions`,
        headers: {},
      },
      close: async () => {
        await child.stop();
        await remove();
      },
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** Bodies stay in memory: the directory is the starting user's, and nginx started by root works as another one. */
const configOf = (directory: string, port: number, upstream: string) => `
daemon off;
worker_processes 1;
pid ${directory}/nginx.pid;
error_log stderr error;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_buffer_size 1m;
  client_body_temp_path ${directory}/body;
  proxy_temp_path ${directory}/proxy;
  fastcgi_temp_path ${directory}/fastcgi;
  uwsgi_temp_path ${directory}/uwsgi;
  scgi_temp_path ${directory}/scgi;
  keepalive_requests 100000000;
  upstream engine {
    server ${upstream};
    keepalive 128;
    keepalive_requests 100000000;
  }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://engine;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }
  }
}
`;
