/**
 * The floor: Fastify and an undici Pool that parse and encode the JSON again, and no policy at all.
 * `node bench/support/bare-proxy.ts PORT UPSTREAM_ORIGIN`.
 */
import Fastify from 'fastify';
import { Pool } from 'undici';

const [, , port = '0', upstream = ''] = process.argv;
const pool = new Pool(upstream, { connections: 128 });
const app = Fastify();

app.post('/v1/chat/completions', async (request, reply) => {
  const { body, statusCode } = await pool.request({
    method: 'POST',
    path: '/v1/chat/completions',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(request.body),
  });
  return reply.status(statusCode).send(await body.json());
});

await app.listen({ host: '127.0.0.1', port: Number(port) });
