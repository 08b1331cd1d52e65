import { setTimeout as pause } from 'node:timers/promises';
import { newOperatorKey } from '#test/support/start-bulkhead.ts';
import type { FloodOptions } from './flood.ts';
import { MODEL } from './paced-engine.ts';
import { seededRandom } from './synthetic-vault.ts';
import { type BenchTenant, openTwoTenantPlatform } from './two-tenant-platform.ts';

/** Something that tenants share: what the quiet tenant does with it, and what the flooding one does. */
export type SharedResource = Readonly<{
  name: string;
  /** Throws where it is not answered as it should be. */
  quiet(): Promise<void>;
  flood: FloodOptions;
}>;

const AT_ONCE = 100;
/** Above the connections that once went from a router to an orchestrator. */
const STREAMS_AT_ONCE = 300;
const UNBOUNDED = 100_000;
const UPLOADS = 100;
const KILOBYTE = 1_024;
const POLL_MS = 20;

/** The resources in an order in which what is indexed comes last: it stays. */
export async function openSharedResources(options: { services: boolean }): Promise<{
  resources: SharedResource[];
  close(): Promise<void>;
}> {
  const platform = await openTwoTenantPlatform(options);
  const { quiet, flooding, quietJudged, floodingJudged } = platform;
  for (const tenant of [quiet, flooding]) {
    for (let i = 0; i < 3; i++) await index(tenant, textOf(4 * KILOBYTE));
  }
  const large = () => upload(flooding, textOf(5 * KILOBYTE * KILOBYTE));
  /** Mostly files of 20 KB; every twentieth has a megabyte. */
  const uploads: FloodOptions = {
    call: (nth) =>
      upload(flooding, textOf((nth % 20 === 0 ? 1_024 : 20) * KILOBYTE)).then(({ status }) => status),
    atOnce: AT_ONCE,
    maxCalls: UPLOADS,
  };
  const same = (
    name: string,
    call: (tenant: BenchTenant, nth: number) => Promise<{ status: number }>,
    { atOnce = AT_ONCE, tenants = [quiet, flooding] as const } = {},
  ): SharedResource => {
    let calls = 0;
    return {
      name,
      quiet: async () => succeed(await call(tenants[0], calls++)),
      flood: {
        call: async (nth) => (await call(tenants[1], nth)).status,
        atOnce,
        maxCalls: UNBOUNDED,
      },
    };
  };
  const beside = (name: string, quietCall: () => Promise<void>, flood: FloodOptions): SharedResource => ({
    name,
    quiet: quietCall,
    flood,
  });
  const find = async (tenant: BenchTenant) => succeed(await search(tenant));
  const embeddings = same('embeddings', (tenant, nth) => embed(tenant, tenant === quiet ? 1 : 16, nth));
  return {
    resources: [
      same('streams', (tenant, nth) => chat(tenant, nth, true), { atOnce: STREAMS_AT_ONCE }),
      same('plain chats', (tenant, nth) => chat(tenant, nth, false), { atOnce: STREAMS_AT_ONCE }),
      same('judges', (tenant, nth) => chat(tenant, nth, false), { tenants: [quietJudged, floodingJudged] }),
      same('searches', search),
      embeddings,
      beside('searches beside embeddings', () => find(quiet), embeddings.flood),
      same('database reads', (tenant) => tenant.call('GET /v1/vault/documents?limit=100')),
      same('exports', (tenant) => tenant.call(`POST /admin/tenants/${tenant.id}/export`, { asAdmin: true })),
      same('dry runs', dryRun),
      beside('unknown keys', async () => succeed(await quiet.call('GET /v1/models')), {
        call: async () => (await flooding.call('GET /v1/models', { key: newOperatorKey() })).status,
        atOnce: AT_ONCE,
        maxCalls: UNBOUNDED,
      }),
      beside('a note beside an own large file', () => index(flooding, note()), {
        call: async () => (await large()).status,
        atOnce: 1,
        maxCalls: 1,
      }),
      beside('a note beside uploads', () => index(quiet, note()), uploads),
      beside('searches beside uploads', () => find(quiet), uploads),
      beside('streams beside uploads', async () => succeed(await chat(quiet, 0, true)), uploads),
    ],
    close: platform.close,
  };
}

const succeed = ({ status, text = '' }: { status: number; text?: string }): void => {
  if (status < 200 || status >= 300) throw new Error(`answered ${status}: ${text.slice(0, 300)}`);
};

const chat = (tenant: BenchTenant, nth: number, stream: boolean) =>
  tenant.call('POST /v1/chat/completions', {
    json: {
      model: MODEL,
      stream,
      max_tokens: 100,
      messages: [{ role: 'user', content: `#${nth} count ${words(20)}` }],
    },
  });

const search = (tenant: BenchTenant) =>
  tenant.call('POST /v1/vault/search', { json: { query: words(8), top_k: 6 } });

const embed = (tenant: BenchTenant, texts: number, _nth: number) =>
  tenant.call('POST /v1/embeddings', {
    json: { model: 'bulkhead-embed', input: Array.from({ length: texts }, () => words(60)) },
  });

const dryRun = (tenant: BenchTenant) =>
  tenant.call('POST /admin/policy/dry-run', {
    asAdmin: true,
    json: {
      tenant_id: tenant.id,
      config: { refusal_rules: [{ name: 'r', phrases: ['never said'] }] },
      limit: 500,
    },
  });

const upload = (tenant: BenchTenant, text: string) => {
  const form = new FormData();
  form.append('file', new Blob([text], { type: 'text/markdown' }), `file-${words(1)}.md`);
  return tenant.call('POST /v1/vault/documents', { form });
};

/** Uploads and waits until it is found by searches. */
async function index(tenant: BenchTenant, text: string): Promise<void> {
  const uploaded = await upload(tenant, text);
  succeed(uploaded);
  const { document_id: id }: { document_id: string } = JSON.parse(uploaded.text);
  for (;;) {
    const shown = await tenant.call(`GET /v1/vault/documents/${id}`);
    succeed(shown);
    const { status }: { status: string } = JSON.parse(shown.text);
    if (status === 'ready') return;
    if (status === 'failed') throw new Error('a document failed');
    await pause(POLL_MS);
  }
}

const note = () => `A note: ${words(12)}.`;

const random = seededRandom(12);
const SYLLABLES = ['ba', 'co', 'du', 'fe', 'gi', 'ka', 'lo', 'mu', 'ne', 'pi', 'ra', 'so', 'tu', 've', 'zi'];

/** Words that no text before had in this order, so that no vector and no verdict is known. */
function words(count: number): string {
  const word = () =>
    Array.from({ length: 3 }, () => SYLLABLES[Math.floor(random() * SYLLABLES.length)]).join('');
  return Array.from({ length: count }, word).join(' ');
}

function textOf(bytes: number): string {
  let text = '# A file\n';
  while (text.length < bytes) text += `\n${words(60)}.\n`;
  return text;
}
