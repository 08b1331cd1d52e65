import type { Command } from 'commander';
import { z } from 'zod';
import { documentIdSchema } from '#app/ids.ts';
import { pageOf } from '#app/schemas/page.ts';
import { type VaultDocument, vaultDocumentSchema } from '#app/schemas/vault-document.ts';
import { CliError, EXIT } from '#cli/cli-error.ts';
import { type CliIo, writeJson, writeLine } from '#cli/cli-io.ts';
import { collectionOption } from '#cli/commands/collection-option.ts';
import { readAllPages } from '#cli/commands/read-all-pages.ts';
import { connect, type TenantConnectionOptions, withConnection } from '#cli/connection.ts';
import { renderTable } from '#cli/output/table.ts';

/** `documents list|delete`: what the key's user may see and remove. */
export function addDocumentsCommands(program: Command, io: CliIo): void {
  const documents = program.command('documents').description('the documents that the key’s user sees');

  withConnection(documents.command('list', { isDefault: true }), 'tenant')
    .description('list them, newest first')
    .addOption(collectionOption('those of this collection only'))
    .action(async (options: TenantConnectionOptions & { collection?: string }) => {
      const api = await connect(io, options, 'member');
      const found = await readAllPages(
        api,
        `/v1/vault/documents${options.collection === undefined ? '' : `?collection=${options.collection}`}`,
        pageOf(vaultDocumentSchema),
        ({ document_id }) => document_id,
      );
      if (options.json === true) return writeJson(io.stdout, { object: 'list', data: found });
      if (found.length === 0) return writeLine(io.stdout, 'There are no documents.');
      const rows = found.map((document) => [
        document.document_id,
        document.title,
        document.visibility === 'tenant' ? 'tenant' : document.user_id,
        document.collection,
        statusOf(document),
        document.chunk_count,
      ]);
      writeLine(
        io.stdout,
        renderTable(['document', 'title', 'for', 'collection', 'status', 'passages'], rows),
      );
    });

  withConnection(documents.command('delete <document-ids...>'), 'tenant')
    .description('delete documents; they are gone from search at once')
    .option('--admin', 'with the demo tenant’s admin key: shared documents are the admin’s to delete')
    .action(async (ids: string[], options: TenantConnectionOptions & { admin?: boolean }) => {
      const wrong = ids.find((id) => !documentIdSchema.safeParse(id).success);
      if (wrong !== undefined) {
        throw new CliError(`${wrong} is no document id: see \`bulkhead documents list\`.`, {
          exitCode: EXIT.usage,
        });
      }
      const api = await connect(io, options, options.admin === true ? 'admin' : 'member');
      const deleted: string[] = [];
      try {
        for (const id of ids) {
          await api.request(`/v1/vault/documents/${id}`, z.unknown(), {
            method: 'DELETE',
            waitOutLimits: 20,
          });
          deleted.push(id);
          if (options.json !== true) writeLine(io.stdout, `Deleted ${id}.`);
        }
      } finally {
        if (options.json === true) writeJson(io.stdout, { deleted });
      }
    });
}

function statusOf({ status, progress, error }: VaultDocument): string {
  if (status === 'indexing' && progress !== null) return `indexing ${progress.done}/${progress.total}`;
  return status === 'failed' && error !== null ? `failed: ${error.message}` : status;
}
