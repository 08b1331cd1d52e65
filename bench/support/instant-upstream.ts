/**
 * An OpenAI-compatible server that answers at once, so that what is measured is the gateway in front of it:
 * `node bench/support/instant-upstream.ts PORT`. It answers every POST, streamed where the body asks for it.
 */
import { createServer } from 'node:http';

const model = 'instant';
const common = { id: 'chatcmpl-1', created: 1_767_225_600, model };
const usage = { prompt_tokens: 200, completion_tokens: 8, total_tokens: 208 };
const whole = JSON.stringify({
  ...common,
  object: 'chat.completion',
  choices: [
    {
      index: 0,
      message: { role: 'assistant', content: 'A short answer of eight tokens.' },
      finish_reason: 'stop',
    },
  ],
  usage,
});
const event = (choices: unknown[], extra: object = {}) =>
  `data: ${JSON.stringify({ ...common, object: 'chat.completion.chunk', choices, ...extra })}\n\n`;
const delta = (content: object, finish_reason: string | null = null) => [
  { index: 0, delta: content, finish_reason },
];
const streamed = [
  event(delta({ role: 'assistant', content: '' })),
  event(delta({ content: 'A short answer of eight tokens.' })),
  event(delta({}, 'stop')),
  event([], { usage }),
  'data: [DONE]\n\n',
].join('');
const models = JSON.stringify({
  object: 'list',
  data: [{ id: model, object: 'model', created: 0, owned_by: 'bench' }],
});

const server = createServer((request, response) => {
  if (request.method === 'GET') {
    response
      .writeHead(200, { 'content-type': 'application/json', 'content-length': models.length })
      .end(models);
    return;
  }
  let body = '';
  request.setEncoding('utf8');
  request.on('data', (chunk: string) => {
    body += chunk;
  });
  request.on('end', () => {
    const wantsStream = body.includes('"stream":true');
    const answer = wantsStream ? streamed : whole;
    response
      .writeHead(200, {
        'content-type': wantsStream ? 'text/event-stream' : 'application/json',
        'content-length': Buffer.byteLength(answer),
      })
      .end(answer);
  });
});
server.keepAliveTimeout = 120_000;
server.listen(Number(process.argv[2] ?? 0), '127.0.0.1');
