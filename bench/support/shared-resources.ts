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
  /** Ends what the flood has left to do. */
  afterwards?(): Promise<void>;
}>;

type CallAs = (tenant: BenchTenant, nth: number, signal?: AbortSignal) => Promise<Answer>;
type Answer = Readonly<{ status: number; text: string }>;

const AT_ONCE = 100;
/** Above the connections that once went from a router to an orchestrator. */
const STREAMS_AT_ONCE = 300;
const UNBOUNDED = 100_000;
const UPLOADS = 100;
const KILOBYTE = 1_024;
const POLL_MS = 20;

export async function openSharedResources(options: { services: boolean }): Promise<{
  resources: SharedResource[];
  close(): Promise<void>;
}> {
  const platform = await openTwoTenantPlatform(options);
  const { quiet, flooding, quietJudged, floodingJudged } = platform;
  for (const tenant of [quiet, flooding]) {
    for (let i = 0; i < 3; i++) await index(tenant, textOf(4 * KILOBYTE));
  }
  const files = {
    usual: textOf(20 * KILOBYTE),
    large: textOf(1_024 * KILOBYTE),
    huge: textOf(5_120 * KILOBYTE),
  };

  /** Both tenants do the same. */
  const same = (name: string, call: CallAs, tenants = [quiet, flooding] as const, atOnce = AT_ONCE) => {
    let calls = 0;
    return {
      name,
      quiet: async () => succeed(await call(tenants[0], calls++)),
      flood: floodOf((nth, signal) => call(tenants[1], nth, signal), atOnce),
    };
  };
  const besideUploads = (name: string, call: () => Promise<void>): SharedResource => ({
    name,
    quiet: call,
    // Every twentieth has a megabyte.
    flood: floodOf(
      (nth, signal) => upload(flooding, variantOf(nth % 20 === 0 ? files.large : files.usual), signal),
      AT_ONCE,
      UPLOADS,
    ),
    afterwards: () => deleteDocuments(flooding),
  });
  const embeddings = same('embeddings', (tenant, _nth, signal) =>
    embed(tenant, tenant === quiet ? 1 : 16, signal),
  );
  const find = async () => succeed(await search(quiet));
  return {
    resources: [
      same('streams', chatOf(true), [quiet, flooding], STREAMS_AT_ONCE),
      same('plain chats', chatOf(false), [quiet, flooding], STREAMS_AT_ONCE),
      same('judges', chatOf(false), [quietJudged, floodingJudged]),
      same('searches', (tenant, _nth, signal) => search(tenant, signal)),
      embeddings,
      { ...embeddings, name: 'searches beside embeddings', quiet: find },
      same('database reads', (tenant, _nth, signal) =>
        tenant.call('GET /v1/vault/documents?limit=100', { signal }),
      ),
      same('exports', (tenant, _nth, signal) =>
        tenant.call(`POST /admin/tenants/${tenant.id}/export`, { asAdmin: true, signal }),
      ),
      same('dry runs', (tenant, _nth, signal) => dryRun(tenant, signal)),
      {
        name: 'unknown keys',
        quiet: async () => succeed(await quiet.call('GET /v1/models')),
        flood: floodOf((_nth, signal) => flooding.call('GET /v1/models', { key: newOperatorKey(), signal })),
      },
      besideUploads('a note beside uploads', () => index(quiet, note())),
      besideUploads('searches beside uploads', find),
      besideUploads('streams beside uploads', async () => succeed(await chatOf(true)(quiet, 0))),
      {
        name: 'a note beside an own file of 5 MB',
        quiet: () => index(flooding, note()),
        flood: floodOf((_nth, signal) => upload(flooding, variantOf(files.huge), signal), 1, 1),
        afterwards: () => deleteDocuments(flooding),
      },
    ],
    close: platform.close,
  };
}

const floodOf = (
  call: (nth: number, signal: AbortSignal) => Promise<Answer>,
  atOnce = AT_ONCE,
  maxCalls = UNBOUNDED,
): FloodOptions => ({ call: async (nth, signal) => (await call(nth, signal)).status, atOnce, maxCalls });

const succeed = ({ status, text }: Answer): void => {
  if (status < 200 || status >= 300) throw new Error(`answered ${status}: ${text.slice(0, 300)}`);
};

const chatOf =
  (stream: boolean): CallAs =>
  (tenant, nth, signal) => {
    const messages = [{ role: 'user', content: `#${nth} count ${words(20)}` }];
    return tenant.call('POST /v1/chat/completions', {
      json: { model: MODEL, stream, max_tokens: 100, messages },
      signal,
    });
  };

const search = (tenant: BenchTenant, signal?: AbortSignal) =>
  tenant.call('POST /v1/vault/search', { json: { query: words(8), top_k: 6 }, signal });

const embed = (tenant: BenchTenant, texts: number, signal?: AbortSignal) =>
  tenant.call('POST /v1/embeddings', {
    json: { model: 'bulkhead-embed', input: Array.from({ length: texts }, () => words(60)) },
    signal,
  });

const dryRun = (tenant: BenchTenant, signal?: AbortSignal) => {
  const config = { refusal_rules: [{ name: 'r', phrases: ['never said'] }] };
  return tenant.call('POST /admin/policy/dry-run', {
    asAdmin: true,
    json: { tenant_id: tenant.id, config, limit: 500 },
    signal,
  });
};

const upload = (tenant: BenchTenant, text: string, signal?: AbortSignal) => {
  const form = new FormData();
  form.append('file', new Blob([text], { type: 'text/markdown' }), `file-${words(1)}.md`);
  return tenant.call('POST /v1/vault/documents', { form, signal });
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

async function deleteDocuments(tenant: BenchTenant): Promise<void> {
  for (;;) {
    const { text } = await tenant.call('GET /v1/vault/documents?limit=100');
    const { data }: { data: { document_id: string }[] } = JSON.parse(text);
    if (data.length === 0) return;
    for (const { document_id: id } of data) await tenant.call(`DELETE /v1/vault/documents/${id}`);
  }
}

const note = () => `A note: ${words(12)}.`;

const random = seededRandom(12);
const SYLLABLES = ['ba', 'co', 'du', 'fe', 'gi', 'ka', 'lo', 'mu', 'ne', 'pi', 'ra', 'so', 'tu', 've', 'zi'];

/** Words in an order that no text before had, so that no vector and no verdict is known. */
function words(count: number): string {
  const word = () =>
    Array.from({ length: 3 }, () => SYLLABLES[Math.floor(random() * SYLLABLES.length)]).join('');
  return Array.from({ length: count }, word).join(' ');
}

function textOf(bytes: number): string {
  const paragraphs: string[] = ['# A file\n'];
  for (let length = 0; length < bytes; length += paragraphs.at(-1)?.length ?? 0) {
    paragraphs.push(`\n@ ${words(60)}.\n`);
  }
  return paragraphs.join('');
}

/** The text with another word in each paragraph: making new ones takes the load generator too long. */
const variantOf = (text: string) => text.replaceAll('@', words(1));
