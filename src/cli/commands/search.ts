import type { Command } from 'commander';
import { z } from 'zod';
import { retrievedChunkSchema } from '#app/schemas/multi-tenant-vault-chunk.ts';
import { type CliIo, printable, writeJson, writeLine } from '#cli/cli-io.ts';
import { collectionOption } from '#cli/commands/collection-option.ts';
import { interruptible } from '#cli/commands/interruptible.ts';
import { positiveInteger } from '#cli/commands/positive-integer.ts';
import { connect, type TenantConnectionOptions, withConnection } from '#cli/connection.ts';
import { describePlace } from '#cli/output/describe-place.ts';

const searchResultSchema = z.looseObject({ data: z.array(retrievedChunkSchema) });

type SearchOptions = TenantConnectionOptions & { topK?: number; collection?: string };

/** Characters of a passage that are shown. */
const EXCERPT = 240;

/** `search <query>`: the passages themselves, without an answer. */
export function addSearchCommand(program: Command, io: CliIo): void {
  withConnection(program.command('search <query...>'), 'tenant')
    .description('find passages in the tenant’s documents')
    .option('--top-k <number>', 'most passages', positiveInteger)
    .addOption(collectionOption('in this collection of documents only'))
    .action(async (query: string[], options: SearchOptions) => {
      const api = await connect(io, options, 'member');
      const result = await interruptible(io, (signal) =>
        api.request('/v1/vault/search', searchResultSchema, {
          method: 'POST',
          json: {
            query: query.join(' '),
            ...(options.topK === undefined ? {} : { top_k: options.topK }),
            ...(options.collection === undefined ? {} : { collection: options.collection }),
          },
          signal,
        }),
      );
      if (options.json === true) return writeJson(io.stdout, result);
      if (result.data.length === 0) return writeLine(io.stdout, 'Nothing was found.');
      for (const [i, chunk] of result.data.entries()) {
        const text = printable(chunk.text).replace(/\s+/g, ' ').trim();
        writeLine(io.stdout, `${i + 1}. ${printable(describePlace(chunk))}`);
        writeLine(io.stdout, `   ${text.length > EXCERPT ? `${text.slice(0, EXCERPT)}…` : text}`);
      }
    });
}
