import { relative } from 'node:path';
import type { DemoTenant } from '#cli/demo-file.ts';

export type BannerFacts = {
  url: string;
  /** `extractive`, or the model and where it is served. */
  engine: { kind: 'extractive' } | { kind: 'model'; model: string; baseUrl: string };
  database: string;
  dataDirectory: string;
  operatorKey: string;
  tenants: readonly DemoTenant[];
  demoFile: string | null;
  logFile: string | null;
};

/** What a person needs after the start: where it is, as whom to speak, and what to try. Paths below `cwd` are short. */
export function renderBanner(facts: BannerFacts, cwd: string): string {
  const near = (path: string) => {
    const short = relative(cwd, path);
    return short === '' || short.startsWith('..') ? path : short;
  };
  const { url, engine, tenants, operatorKey } = facts;
  const answers =
    engine.kind === 'extractive'
      ? 'quotes sentences from the documents; set INFERENCE_BASE_URL + INFERENCE_MODEL for a language model'
      : `${engine.model} at ${engine.baseUrl}`;
  const keys = [
    ['operator', operatorKey],
    ...tenants.flatMap(({ tenant_id, user_id, api_key, admin_key }) => [
      [`${tenant_id}, ${user_id}`, api_key],
      [`${tenant_id}, admin`, admin_key],
    ]),
  ];
  const width = Math.max(...keys.map(([name]) => name?.length ?? 0));
  const files = [
    `data ${near(facts.dataDirectory)}`,
    ...(facts.demoFile === null ? [] : [`keys ${near(facts.demoFile)}`]),
    ...(facts.logFile === null ? [] : [`log ${near(facts.logFile)}`]),
  ];
  return [
    '',
    `Bulkhead runs at ${url}   API reference: ${url}/docs`,
    '',
    `  answers   ${engine.kind === 'extractive' ? 'extractive: ' : ''}${answers}`,
    `  database  ${facts.database}`,
    `  files     ${files.join(', ')}`,
    '',
    'Keys',
    ...keys.map(([name, key]) => `  ${(name ?? '').padEnd(width)}  ${key}`),
    '',
    ...(tenants[0] === undefined
      ? ['Next: npx bulkhead tenant create <tenant>, then npx bulkhead key create <tenant> --user <user>']
      : [`Try: npx bulkhead chat --tenant ${tenants[0].tenant_id} "How do I register a plugin?"`]),
    'Ctrl-C stops it.',
    '',
  ].join('\n');
}
