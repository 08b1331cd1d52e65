import { TEXT_SHAPES, type TextShape } from './hostile-texts.ts';

/** A request to one surface. */
export type Attack = Readonly<{
  surface: string;
  shape: string;
  endpoint: string;
  as: 'member' | 'admin' | 'operator';
  body: string | FormData | null;
}>;

/** Bytes that a body may hold, and that most bodies stay below. */
export const LIMIT = 4_194_304;
export const USUAL = 100_000;

type Surface = Readonly<{
  name: string;
  endpoint: string;
  as: Attack['as'];
  /** A body with the text where users write. */
  withText: (text: string) => unknown;
  /** The longest text that is not refused for its length alone. */
  maxCharacters?: number;
}>;

const message = (content: unknown, role = 'user') => ({ role, content });

export const TEXT_SURFACES: readonly Surface[] = [
  {
    name: 'chat',
    endpoint: 'POST /v1/chat',
    as: 'member',
    withText: (text) => ({ message: text }),
    maxCharacters: 100_000,
  },
  {
    name: 'chat completions',
    endpoint: 'POST /v1/chat/completions',
    as: 'member',
    withText: (text) => ({ model: 'served', messages: [message(text)] }),
  },
  {
    name: 'chat completions from documents',
    endpoint: 'POST /v1/chat/completions',
    as: 'member',
    withText: (text) => ({ model: 'bulkhead-rag', messages: [message(text)] }),
  },
  {
    name: 'completions',
    endpoint: 'POST /v1/completions',
    as: 'member',
    withText: (text) => ({ model: 'served', prompt: text }),
  },
  {
    name: 'responses',
    endpoint: 'POST /v1/responses',
    as: 'member',
    withText: (text) => ({ model: 'served', input: text, store: true }),
  },
  {
    name: 'embeddings',
    endpoint: 'POST /v1/embeddings',
    as: 'member',
    withText: (text) => ({ model: 'bulkhead-embed', input: text }),
    maxCharacters: 60_000,
  },
  {
    name: 'search',
    endpoint: 'POST /v1/vault/search',
    as: 'member',
    withText: (text) => ({ query: text }),
  },
  {
    name: 'search in a vector store',
    endpoint: 'POST /v1/vector_stores/vs_vault/search',
    as: 'member',
    withText: (text) => ({ query: text }),
  },
  {
    name: 'a tenant’s policy',
    endpoint: 'PATCH /admin/tenants/acme',
    as: 'admin',
    withText: (text) => ({ refusal_rules: [{ name: 'r', phrases: ['x'], message: text }] }),
  },
  {
    name: 'a dry run',
    endpoint: 'POST /admin/policy/dry-run',
    as: 'admin',
    withText: (text) => ({ tenant_id: 'acme', config: { refusal_rules: [{ name: 'r', phrases: [text] }] } }),
  },
];

/** The text shapes on each surface that takes text. */
export function textAttacks(bytes: number, shapes: readonly TextShape[] = TEXT_SHAPES): Attack[] {
  return TEXT_SURFACES.flatMap((surface) =>
    shapes.map(({ name, write }) => {
      const text = write(bytes).slice(0, surface.maxCharacters ?? bytes);
      return {
        surface: surface.name,
        shape: name,
        endpoint: surface.endpoint,
        as: surface.as,
        body: JSON.stringify(surface.withText(text)),
      };
    }),
  );
}

/** So many of an item as fill the bytes, at most as many as `most`. */
function many<Item>(bytes: number, item: (index: number) => Item, most = 100_000): Item[] {
  const size = JSON.stringify(item(1_000)).length + 1;
  return Array.from({ length: Math.max(1, Math.min(most, Math.floor(bytes / size))) }, (_, index) =>
    item(index),
  );
}

const nested = (depth: number, open: string, close: string) => `${open.repeat(depth)}${close.repeat(depth)}`;

/** Bodies whose form is hostile, not their texts. */
export function formAttacks(bytes: number): Attack[] {
  const attacks: Attack[] = [];
  const add = (
    surface: string,
    shape: string,
    endpoint: string,
    body: unknown,
    as: Attack['as'] = 'member',
  ) =>
    attacks.push({
      surface,
      shape,
      endpoint,
      as,
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
  const completion = (shape: string, body: Record<string, unknown>) =>
    add('chat completions', shape, 'POST /v1/chat/completions', { model: 'served', ...body });

  const messages = (most: number) => many(bytes, (index) => message(`hello ${index}`), most);
  completion('messages', { messages: messages(10_000) });
  completion('messages of every role', {
    messages: many(
      bytes,
      (index) =>
        index % 3 === 0 ? message('hi', 'system') : message(`mail a${index}@example.com`, 'assistant'),
      10_000,
    ),
  });
  completion('parts', {
    messages: [message(many(bytes, (index) => ({ type: 'text', text: `a${index}@b.co ` }), 10_000))],
  });
  completion('tools', {
    messages: [message('hi')],
    tools: many(bytes, (index) => ({
      type: 'function',
      function: { name: `tool_${index}`, parameters: { type: 'object', properties: { [`p${index}`]: {} } } },
    })),
  });
  completion('calls', {
    messages: many(
      bytes,
      (index) => ({
        role: 'assistant',
        content: null,
        tool_calls: [
          { id: `c${index}`, type: 'function', function: { name: 'f', arguments: `{"a":"${index}"}` } },
        ],
      }),
      10_000,
    ),
  });
  completion('arguments of a call', {
    messages: [
      {
        role: 'assistant',
        content: null,
        tool_calls: [
          {
            id: 'c',
            type: 'function',
            function: { name: 'f', arguments: JSON.stringify(many(bytes * 0.8, (index) => ({ a: index }))) },
          },
        ],
      },
    ],
  });
  completion('a schema', {
    messages: [message('hi')],
    response_format: {
      type: 'json_schema',
      json_schema: { name: 'x', schema: { enum: many(bytes, (index) => `value ${index}`) } },
    },
  });
  completion('a wide object', {
    messages: [message('hi')],
    metadata: Object.fromEntries(many(bytes, (index) => [`name${index}`, index], 9_900)),
  });
  add(
    'chat completions',
    'a deep list',
    'POST /v1/chat/completions',
    `{"model":"served","messages":${nested(bytes / 2 - 40, '[', ']')}}`,
  );
  add(
    'chat completions',
    'lists in a list',
    'POST /v1/chat/completions',
    `{"model":"served","messages":[{"role":"user","content":"hi"}],"x":[${'[],'.repeat(Math.min(99_000, bytes / 3))}0]}`,
  );
  add('chat completions', 'numbers', 'POST /v1/chat/completions', {
    model: 'served',
    messages: [message('hi')],
    logit_bias: {},
    x: many(bytes, () => 1234567, 1_000_000),
  });
  add(
    'chat completions',
    'a broken body',
    'POST /v1/chat/completions',
    `{"messages":[${'{"a":"b"},'.repeat(Math.min(49_000, bytes / 10))}`,
  );
  add('responses', 'items', 'POST /v1/responses', {
    model: 'served',
    input: many(bytes, (index) => ({ type: 'message', role: 'user', content: `hello ${index}` }), 10_000),
    store: true,
  });
  add('completions', 'prompts', 'POST /v1/completions', {
    model: 'served',
    prompt: many(bytes, (index) => `hello ${index}`),
  });
  add('embeddings', 'texts', 'POST /v1/embeddings', {
    model: 'bulkhead-embed',
    input: many(bytes / 10, (index) => `hello ${index}`, 200),
  });
  add('embeddings', 'tokens', 'POST /v1/embeddings', {
    model: 'bulkhead-embed',
    input: many(bytes, (index) => index + 1_000, 8_000),
  });
  add('search', 'document ids', 'POST /v1/vault/search', {
    query: 'hi',
    document_ids: many(bytes, (index) => `doc_${String(index).padStart(26, '0')}`),
  });
  const patterns = (pattern: (index: number) => string, most = 200) =>
    many(bytes, (index) => ({ name: `p${index}`, pattern: pattern(index) }), most);
  const policy = (shape: string, config: Record<string, unknown>) => {
    add('a tenant’s policy', shape, 'PATCH /admin/tenants/acme', config, 'admin');
    add('a dry run', shape, 'POST /admin/policy/dry-run', { tenant_id: 'acme', config }, 'admin');
  };
  policy('costly patterns', { sensitive_patterns: patterns((index) => `\\pL{60}x${index}`, 70) });
  policy('patterns too large', { sensitive_patterns: patterns(() => '(\\pL{9}){9}') });
  policy('alternatives', { sensitive_patterns: patterns(() => `${'ab|'.repeat(150)}c`) });
  policy('classes', { sensitive_patterns: patterns(() => `[${'\\pL\\pN'.repeat(60)}]`) });
  policy('nested groups', { sensitive_patterns: patterns(() => `${'('.repeat(200)}a${')'.repeat(200)}`) });
  policy('repetition of repetition', { sensitive_patterns: patterns(() => '((((a{9}){9}){9}){9})') });
  policy('phrases', {
    refusal_rules: many(
      bytes / 100,
      (rule) => ({
        name: `r${rule}`,
        phrases: many(bytes / 100, (index) => `phrase ${rule} ${index} é`, 100),
      }),
      200,
    ),
  });
  policy('blocked tools', { blocked_tools: many(bytes, (index) => `tööl_${index}`, 500) });
  add(
    'a new tenant',
    'a wide object',
    'POST /admin/tenants',
    {
      tenant_id: 'wide',
      display_name: 'x',
      ...Object.fromEntries(many(bytes, (index) => [`name${index}`, index], 9_900)),
    },
    'operator',
  );
  return attacks;
}

/** Files of every type that is parsed. */
export function uploadAttacks(bytes: number): Attack[] {
  const files: [name: string, type: string, content: string][] = [
    ['marks.txt', 'text/plain', `a${repeat('\u0301\u0316\u0345', bytes)}`],
    ['word.txt', 'text/plain', repeat('a', bytes)],
    ['ideographs.txt', 'text/plain', repeat('漢', bytes)],
    ['signs.md', 'text/markdown', repeat('*[', bytes)],
    ['headings.md', 'text/markdown', repeat('# a\n', bytes)],
    ['table.md', 'text/markdown', `|a|b|\n|-|-|\n${repeat('|a|b|\n', bytes)}`],
    ['deep.html', 'text/html', repeat('<div>', bytes)],
    ['list.html', 'text/html', `<ul>${repeat('<li>a', bytes)}`],
    ['rows.csv', 'text/csv', `a,b\n${repeat('1,2\n', bytes)}`],
    ['columns.csv', 'text/csv', repeat('a,', bytes)],
    ['deep.json', 'application/json', `${'['.repeat(bytes / 2)}${']'.repeat(bytes / 2)}`],
    ['wide.json', 'application/json', `[${repeat('{"a":1},', bytes)}0]`],
  ];
  return files.map(([name, type, content]) => {
    const body = new FormData();
    body.set('file', new File([content], name, { type }));
    return { surface: 'upload', shape: name, endpoint: 'POST /v1/vault/documents', as: 'member', body };
  });
}

const repeat = (unit: string, bytes: number) => unit.repeat(Math.floor(bytes / Buffer.byteLength(unit)));
