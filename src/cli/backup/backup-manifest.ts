import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { codeOf } from '#app/data-directory/code-of.ts';
import { withErrorListener } from '#app/faults/with-error-listener.ts';
import { CliError } from '#cli/cli-error.ts';
import { writeFileAtomically } from '#cli/up/write-file-atomically.ts';

/** `files.ndjson` of a backup: a line for each file under `data/`. */
const fileLineSchema = z.strictObject({
  path: z.string().refine(isInside, 'must stay inside the backup'),
  bytes: z.int().nonnegative(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
export type FileLine = z.infer<typeof fileLineSchema>;

/** `backup.json`, which is written last: a directory without it is no backup. */
const manifestSchema = z.object({
  format: z.literal(1),
  kind: z.literal('embedded'),
  created_at: z.iso.datetime(),
  files: z.int().nonnegative(),
  bytes: z.int().nonnegative(),
  /** SHA-256 of `files.ndjson`, hex. */
  files_sha256: z.string(),
});
export type BackupManifest = z.infer<typeof manifestSchema>;

export const DATA = 'data';
export const FILES = 'files.ndjson';
const MANIFEST = 'backup.json';

function isInside(path: string): boolean {
  return (
    path !== '' && !path.includes('\\') && path.split('/').every((name) => !['', '.', '..'].includes(name))
  );
}

export async function writeManifest(directory: string, manifest: BackupManifest): Promise<void> {
  await writeFileAtomically(join(directory, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`);
}

/** Throws a `CliError` where the backup is incomplete, damaged or of another version. */
export async function readManifest(directory: string): Promise<BackupManifest> {
  let text: string;
  try {
    text = await readFile(join(directory, MANIFEST), 'utf8');
  } catch (error) {
    throw new CliError(
      codeOf(error) === 'ENOENT'
        ? `${directory} is no complete backup: it has no ${MANIFEST}, which is written last. The backup was cut off, or this is another directory.`
        : `${join(directory, MANIFEST)} cannot be read: ${String(codeOf(error))}.`,
      { cause: error },
    );
  }
  let manifest: BackupManifest;
  try {
    manifest = manifestSchema.parse(JSON.parse(text));
  } catch (error) {
    throw new CliError(`${join(directory, MANIFEST)} is damaged, or of a later version of Bulkhead.`, {
      cause: error,
    });
  }
  const hash = createHash('sha256');
  for await (const chunk of withErrorListener(createReadStream(join(directory, FILES)))) hash.update(chunk);
  if (hash.digest('hex') !== manifest.files_sha256) throw damaged(directory, FILES);
  return manifest;
}

/** The files of a backup whose manifest was read. */
export async function* readFileLines(directory: string): AsyncGenerator<FileLine, void> {
  let broken: Error | null = null;
  const input = withErrorListener(createReadStream(join(directory, FILES)), (error) => {
    broken = error;
    lines.close();
  });
  const lines = withErrorListener(createInterface({ input, crlfDelay: Infinity }));
  for await (const line of lines) {
    if (line !== '') yield fileLineSchema.parse(JSON.parse(line));
  }
  if (broken !== null) throw broken;
}

export const damaged = (directory: string, path: string): CliError =>
  new CliError(
    `The backup ${directory} is damaged: ${path} is missing or not what was written. Nothing was restored.`,
  );
