import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const SOURCE = join(ROOT, 'src');

type SourceFile = {
  path: string;
  area: string;
  /** Without comments. */
  code: string;
  lines: number;
  imports: { specifier: string; line: number }[];
  isTest: boolean;
};

const files: SourceFile[] = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .map((path) => {
    const text = readFileSync(join(SOURCE, path), 'utf8');
    const imports = [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map((match) => ({
      specifier: match[1] ?? '',
      // Of the specifier: the list of names before it may be long.
      line: text.slice(0, match.index + match[0].length).split('\n').length,
    }));
    const code = text.replace(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm, '');
    const isTest = /\.test\.ts$|\/fixtures\//.test(path);
    return { path, area: path.split('/')[0] ?? '', code, lines: text.split('\n').length, imports, isTest };
  });

/** The area of `src` that an import reaches, or null for a package. */
function areaOf(file: SourceFile, specifier: string): string | null {
  const alias = /^#([a-z]+)\//.exec(specifier)?.[1];
  if (alias !== undefined) return alias;
  if (!specifier.startsWith('.')) return null;
  return relative(SOURCE, join(SOURCE, dirname(file.path), specifier)).split('/')[0] ?? null;
}

/** Who may import whom. A `main.ts` and `src/cli` wire things together: they may import every area, but no service the CLI. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  app: ['app'],
  observability: ['app', 'observability'],
  inference: ['app', 'observability', 'inference'],
  router: ['app', 'observability', 'inference', 'router'],
  orchestrator: ['app', 'observability', 'inference', 'orchestrator'],
  rag: ['app', 'observability', 'inference', 'rag'],
};

/**
 * Calls whose result is an `EventEmitter` that can emit `error`: of Node and of the packages in use. A new package that has
 * connections, threads, processes or streams adds its own.
 */
const CREATES_EMITTER = new RegExp(
  [
    String.raw`\bnew (?:\w+\.)?(?:Worker|Pool|BalancedPool|Client|Agent|ProxyAgent|PgBoss|Socket|Server|WebSocket|EventEmitter)\(`,
    String.raw`\bnew (?:\w+\.)?(?:Readable|Writable|Duplex|Transform|PassThrough)\(`,
    String.raw`\b(?:fork|spawn|execFile)\(`,
    String.raw`(?<!function )(?:\b\w+\.)?\bcreate(?:ReadStream|WriteStream|Server|SecureServer|Connection|Client|Cluster|Gzip|Gunzip|Inflate|Deflate|Unzip|BrotliCompress|BrotliDecompress|Interface)\(`,
    String.raw`\b(?:net|tls|http2)\.connect\(`,
    String.raw`\bhttps?\.(?:request|get)\(`,
    String.raw`\bReadable\.from(?:Web)?\(`,
    String.raw`\bpino\.destination\(`,
  ].join('|'),
  'g',
);

const isWiring = (file: SourceFile) => file.area === 'cli' || /^[a-z]+\/main\.ts$/.test(file.path);

it('imports run one way', () => {
  const offenders = files
    .filter((file) => !file.isTest && !isWiring(file))
    .flatMap((file) => {
      const allowed = ALLOWED[file.area];
      if (allowed === undefined) return [`src/${file.path}: src/${file.area} is no area of the architecture`];
      return file.imports
        .map(({ specifier, line }) => ({ specifier, line, area: areaOf(file, specifier) }))
        .filter(({ area }) => area !== null && !allowed.includes(area))
        .map(
          ({ specifier, line }) => `src/${file.path}:${line}: ${file.area} must not import '${specifier}'`,
        );
    });
  expect(offenders).toEqual([]);
});

it('services run without the CLI', () => {
  const importers = files.filter(
    (file) => file.area !== 'cli' && file.imports.some(({ specifier }) => areaOf(file, specifier) === 'cli'),
  );
  expect(importers.map((file) => file.path)).toEqual([]);
});

it('the CLI loads what a command needs when it runs: its help loads no service, driver or model', () => {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const chains = new Map([['cli/main.ts', 'cli/main.ts']]);
  const offenders: string[] = [];
  for (const [path, chain] of chains) {
    const text = readFileSync(join(SOURCE, path), 'utf8');
    // `import type` is stripped; what `import('…')` names is loaded later.
    for (const [, specifier = ''] of text.matchAll(/^(?:import|export) (?!type )[^;]*?from '([^']+)';/gm)) {
      const next = specifier.startsWith('#') ? specifier.slice(1) : join(dirname(path), specifier);
      if (byPath.has(next)) {
        if (!chains.has(next)) chains.set(next, `${chain} → ${next}`);
        if (!/^(?:app|cli)\//.test(next)) offenders.push(`${chain} → ${next}`);
      } else if (!/^(?:node:.*|commander|zod|eventsource-parser\/stream)$/.test(specifier))
        offenders.push(`${chain} → ${specifier}`);
    }
  }
  expect(chains.size).toBeGreaterThan(20);
  expect(offenders).toEqual([]);
});

describe('rules of the tree', () => {
  const code = files.filter((file) => !file.isTest);

  it('tests support code is never imported by the product', () => {
    expect(
      code
        .filter((file) => file.imports.some(({ specifier }) => specifier.startsWith('#test/')))
        .map((file) => file.path),
    ).toEqual([]);
  });

  it('the environment is read by settings, main.ts and the CLI alone', () => {
    const readers = code.filter((file) => /process\.env/.test(file.code) && !isWiring(file));
    expect(readers.map((file) => file.path).filter((path) => !path.startsWith('app/settings/'))).toEqual([]);
  });

  it('a tenant context is made in few places', () => {
    const makers = code.filter((file) => /\bcreateTenantContext\(/.test(file.code)).map((file) => file.path);
    const known = (path: string) =>
      path === 'app/tenant-context.ts' ||
      path === 'app/http/internal-token.ts' ||
      path.startsWith('router/identity/') ||
      path.startsWith('rag/ingest/') ||
      path.startsWith('cli/up/');
    expect(makers.filter((path) => !known(path))).toEqual([]);
  });

  it('no SQL outside the database layer names a value by string building', () => {
    const suspicious = code.filter((file) =>
      /query\(\s*`[^`]*(?:tenant_id|user_id)\s*=\s*'?\$\{/.test(file.code),
    );
    expect(suspicious.map((file) => file.path)).toEqual([]);
  });

  it('only tenant-scoped code talks to PostgreSQL drivers', () => {
    const users = code.filter((file) =>
      file.imports.some(({ specifier }) => specifier === 'pg' || specifier.startsWith('@electric-sql/')),
    );
    expect(users.map((file) => file.path).filter((path) => !path.startsWith('app/database/'))).toEqual([]);
  });

  it('files are kebab-case and not over 500 lines', () => {
    expect(files.map((file) => file.path).filter((path) => !/^[a-z0-9./-]+$/.test(path))).toEqual([]);
    expect(code.filter((file) => file.lines > 500).map((file) => file.path)).toEqual([]);
  });

  it('whatever emits errors is created with a listener for them', () => {
    const bare = code.flatMap(({ path, code: text }) =>
      [...text.matchAll(CREATES_EMITTER)]
        .filter(({ index }) => !/\bwithErrorListener\(\s*$/.test(text.slice(0, index)))
        .map((match) => `${path}: ${match[0]}…`),
    );
    expect(bare).toEqual([]);
  });

  it('no type is silenced', () => {
    const silenced = files.filter((file) =>
      /@ts-(?:ignore|nocheck|expect-error)|\bas any\b|: any\b/.test(file.code),
    );
    expect(silenced.map((file) => file.path)).toEqual([]);
  });
});

describe('docs/spec-map.md', () => {
  const map = readFileSync(join(ROOT, 'docs/spec-map.md'), 'utf8');
  const named = [
    ...map.matchAll(/`((?:src|test|docs|scripts|bench|infrastructure|dockerfiles|models)\/[^`]*)`/g),
  ].map((match) => match[1] ?? '');

  it('names files that exist', () => {
    expect(named.length).toBeGreaterThan(20);
    expect([...new Set(named)].filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  });
});
