import type { ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { sendError, sendStream, startEngineServer, streamOf } from '../../support/engine-server.ts';
import { call, eventually } from '../../support/http-client.ts';
import type { Platform } from '../../support/start-bulkhead.ts';
import type { Keys } from '../../support/tenants.ts';

const MODEL = 'served';

/** What stands at the engine's address: the nth replica that is reached there answers the nth call. */
export async function startReplicas() {
  let replicas: readonly Replica[] = [];
  const server = await startEngineServer((engineCall, response) => {
    if (!engineCall.path.endsWith('/chat/completions')) return response.end(`{"data":[{"id":"${MODEL}"}]}`);
    const [replica = works, ...others] = replicas;
    replicas = others;
    return replica(response);
  });
  const stand = (...these: readonly Replica[]) => {
    replicas = these;
  };
  return { server, stand, env: { INFERENCE_BASE_URL: server.baseUrl, INFERENCE_MODEL: MODEL } };
}
export type Replicas = Awaited<ReturnType<typeof startReplicas>>;
type Route = readonly [endpoint: string, json: Readonly<Record<string, unknown>>];
type Replica = (response: ServerResponse) => unknown;

const works: Replica = (response) => sendStream(response, streamOf(['The port is ', '8080.']));
const isGone: Replica = (response) => response.destroy();
const isBusy: Replica = (response) => sendError(response, 503);
const hangs: Replica = () => undefined;

const entrySchema = z.object({
  outcome: z.string(),
  decision: z.object({
    engine: z
      .object({ name: z.string(), model: z.string().nullable(), attempts: z.int().nullable() })
      .nullable(),
    error_code: z.string().nullable(),
  }),
});

/** What the request log says of how often an engine was asked. */
export function describeEngineAttempts(
  started: () => { platform: Platform; keys: Keys; replicas: Replicas },
): void {
  describe('the request log counts how often the engine was asked', () => {
    const messages = [{ role: 'user', content: 'Which port?' }];
    const DIRECT: Route = ['POST /v1/chat/completions', { model: MODEL, messages }];
    const routes: readonly Route[] = [
      DIRECT,
      ['POST /v1/chat/completions', { model: MODEL, messages, stream: true }],
      ['POST /v1/chat/completions', { model: 'bulkhead-chat', messages }],
      ['POST /v1/responses', { model: MODEL, input: 'Which port?', stream: true }],
      ['POST /v1/completions', { model: MODEL, prompt: 'Which port?' }],
      ['POST /v1/chat', { message: 'Which port?', route: 'chat', stream: true }],
    ];

    async function entryOf(requestId: string) {
      const { platform, keys } = started();
      const endpoint = `GET /admin/tenants/acme/requests/${requestId}`;
      const text = await eventually(`the log's row of ${requestId}`, async () => {
        const answer = await call(platform.url, endpoint, { key: keys.acmeAdmin });
        return answer.status === 200 ? answer.text : undefined;
      });
      return { text, ...entrySchema.parse(JSON.parse(text)) };
    }

    async function ask([endpoint, json]: Route, ...standing: readonly Replica[]) {
      const { platform, keys, replicas } = started();
      replicas.stand(...standing);
      const answer = await call(platform.url, endpoint, { key: keys.alice, json });
      return { answer, entry: await entryOf(answer.headers['x-request-id'] ?? '') };
    }

    it.each(routes)('%s %j: one that fails, and another that answers', async (...route) => {
      for (const [standing, attempts] of [
        [[works], 1],
        [[isGone, works], 2],
        [[isBusy, isGone, works], 3],
      ] as const) {
        const { answer, entry } = await ask(route, ...standing);
        expect(answer.status).toBe(200);
        expect(answer.text).toContain('8080.');
        expect(entry.decision.engine).toMatchObject({ model: MODEL, attempts });
        // Tenants hear of neither: not clients of tries, nor their admins of addresses.
        expect(answer.text).not.toMatch(/"asked"|attempts/);
        expect(entry.text).not.toContain('127.0.0.1');
      }
    });

    it('none that answers', async () => {
      const { entry } = await ask(DIRECT, isBusy, isBusy, isBusy);
      expect(entry.decision.engine?.attempts).toBe(3);
      expect(entry.decision.error_code).toMatch(/^engine_/);
    });

    it('a client that leaves before any answered', async () => {
      const { platform, keys, replicas } = started();
      for (const [endpoint, json] of routes) {
        replicas.stand(isGone, hangs);
        const earlier = replicas.server.calls.length;
        const leaving = new AbortController();
        const asking = call(platform.url, endpoint, { key: keys.alice, json, signal: leaving.signal });
        asking.catch(() => undefined);
        const second = await eventually('the second try', async () => replicas.server.calls[earlier + 1]);
        leaving.abort();
        await expect(asking).rejects.toThrow();
        await second.cutOff;
        const requestId = second.headers['x-request-id'];
        const entry = await entryOf(String(requestId));
        expect(entry).toMatchObject({ outcome: 'aborted', decision: { engine: { attempts: 2 } } });
      }
    });
  });
}
